//! What a call adds to the future of its body.

use std::hint::black_box;
use std::sync::Arc;

use crate::workload::{LoadError, User, load, padding};

/// What a service function keeps in its future, for the functions that are measured.
pub(crate) const BODY: usize = 1_152;

/// The body of the measured functions. As a macro, so that each contender annotates a function
/// with exactly this body instead of a call of it.
macro_rules! padded_body {
    ($tenant:ident, $id:ident) => {{
        let padding = padding();
        tokio::task::yield_now().await;
        black_box(&padding);
        Ok(Arc::new(load($tenant, $id)))
    }};
}
pub(crate) use padded_body;

/// The function without any cache: its future has [`BODY`] bytes.
pub(crate) async fn padded(tenant: u64, id: u64) -> Result<Arc<User>, LoadError> {
    padded_body!(tenant, id)
}

#[cfg(test)]
mod tests {
    use super::{BODY, padded};

    #[test]
    fn the_body_is_as_large_as_the_table_says() {
        assert_eq!(size_of_val(&padded(1, 2)), BODY);
    }
}
