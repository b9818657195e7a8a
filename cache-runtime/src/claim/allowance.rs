//! The time that the second tier may take of one call.

use std::future::Future;
use std::pin::{Pin, pin};
use std::task::Poll;
use std::time::Duration;

use crate::fault::Fault;
use crate::instant::Instant;
use crate::timer;

/// How much of a call's time the second tier may still take.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Allowance {
    left: Duration,
    /// The beginning of an operation that is not accounted for yet.
    began: Option<Instant>,
}

impl Allowance {
    /// The whole of it, less what was spent already.
    pub(super) fn new(whole: Duration, spent: Duration) -> Self {
        Self { left: whole.saturating_sub(spent), began: None }
    }

    /// What begins now is not the second tier's time.
    pub(crate) fn pause(&mut self) {
        if let Some(began) = self.began.take() {
            self.left = self.left.saturating_sub(began.elapsed());
        }
    }

    /// An operation within what is left of the allowance. The store bounds each operation by the whole of it, so that a
    /// second timer is needed only after a slow one. It is pinned already: a future that is given away takes its place twice.
    pub(crate) async fn spend<T>(
        &mut self,
        whole: Duration,
        operation: Pin<&mut impl Future<Output = Result<T, Fault>>>,
    ) -> Result<T, Fault> {
        // Looked at once for two operations in a row: after a hit, nobody asks.
        let now = Instant::now();
        if let Some(began) = self.began.replace(now) {
            self.left = self.left.saturating_sub(now.saturating_duration_since(began));
        }
        if self.left >= whole.mul_f32(0.9) { operation.await } else { within(self.left, operation).await }
    }
}

async fn within<T>(
    most: Duration,
    mut operation: Pin<&mut impl Future<Output = Result<T, Fault>>>,
) -> Result<T, Fault> {
    let mut timeout = pin!(timer::sleep(most));
    std::future::poll_fn(|context| match operation.as_mut().poll(context) {
        Poll::Ready(answer) => Poll::Ready(answer),
        Poll::Pending => timeout.as_mut().poll(context).map(|()| Err(Fault::Timeout)),
    })
    .await
}
