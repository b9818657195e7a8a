//! The work that every contender does: users of many tenants.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

#[cfg(feature = "hitbox")]
use hitbox_fn::CacheableResponse;
use serde::{Deserialize, Serialize};

/// Users that are read, all of them in the cache before a time is taken.
pub const USERS: u64 = 10_000;
/// The lifetime of an entry, where a contender has lifetimes: longer than the run.
pub const TTL: Duration = Duration::from_mins(30);

const TENANTS: u64 = 100;

/// What a call gives: 64 bytes and 58 bytes of text.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "hitbox", derive(CacheableResponse))]
pub struct User {
    pub tenant: u64,
    pub id: u64,
    pub name: String,
    pub email: String,
}

/// What a load may fail with; it never does.
#[derive(Clone, Debug, thiserror::Error, Serialize, Deserialize)]
#[error("the load failed")]
pub struct LoadError;

static LOADS: AtomicU64 = AtomicU64::new(0);

/// How many loads ran so far, of all contenders.
pub fn loads() -> u64 {
    LOADS.load(Relaxed)
}

/// The body of every annotated function.
pub fn load(tenant: u64, id: u64) -> User {
    LOADS.fetch_add(1, Relaxed);
    User { tenant, id, name: exact(format!("user {id:0>13}")), email: exact(format!("{id:0>21}@tenant.example.com")) }
}

/// A text without spare room, so that the payload's bytes are what they seem.
fn exact(text: String) -> String {
    text.into_boxed_str().into_string()
}

/// The body for a stampede: long enough that every call arrives before the first load ended.
pub async fn load_slowly(tenant: u64, id: u64) -> User {
    let user = load(tenant, id);
    tokio::time::sleep(Duration::from_millis(50)).await;
    user
}

/// The tenant and id of a user.
#[inline]
pub fn key(user: u64) -> (u64, u64) {
    (user % TENANTS, user)
}

#[cfg(test)]
mod tests {
    use super::load;

    #[test]
    fn a_user_has_122_bytes() {
        let user = load(7, 42);
        assert_eq!(size_of_val(&user) + user.name.capacity() + user.email.capacity(), 122);
    }
}
