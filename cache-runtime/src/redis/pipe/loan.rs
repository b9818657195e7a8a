//! A stream that is lent, and had back when nothing is under way on it.

use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::redis::dial::Stream;
use crate::sync::lock;

/// The lender's end.
pub(crate) struct Loan(Shared);

/// The borrower's end: the stream, until it is taken back. From then on it is closed.
pub(crate) struct Lent(Shared);

type Shared = Arc<Mutex<Option<Box<dyn Stream>>>>;

impl Loan {
    pub(crate) fn of(stream: Box<dyn Stream>) -> (Self, Lent) {
        let shared = Arc::new(Mutex::new(Some(stream)));
        (Self(Arc::clone(&shared)), Lent(shared))
    }

    /// Takes the stream back. What the borrower has read already, or not written yet, is lost.
    pub(crate) fn take(self) -> Option<Box<dyn Stream>> {
        lock(&self.0).take()
    }
}

impl Lent {
    fn with<T>(
        &self,
        context: &mut Context<'_>,
        taken: io::Result<T>,
        poll: impl FnOnce(Pin<&mut Box<dyn Stream>>, &mut Context<'_>) -> Poll<io::Result<T>>,
    ) -> Poll<io::Result<T>> {
        match lock(&self.0).as_mut() {
            Some(stream) => poll(Pin::new(stream), context),
            None => Poll::Ready(taken),
        }
    }
}

impl AsyncRead for Lent {
    fn poll_read(self: Pin<&mut Self>, context: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        self.with(context, Ok(()), |stream, context| stream.poll_read(context, buffer))
    }
}

impl AsyncWrite for Lent {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let taken = Err(io::ErrorKind::BrokenPipe.into());
        self.with(context, taken, |stream, context| stream.poll_write(context, bytes))
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.with(context, Ok(()), AsyncWrite::poll_flush)
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.with(context, Ok(()), AsyncWrite::poll_shutdown)
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::*;

    #[tokio::test]
    async fn what_was_lent_is_closed_once_it_was_taken_back_and_the_stream_goes_on() {
        let (near, mut far) = tokio::io::duplex(64);
        let (loan, mut lent) = Loan::of(Box::new(near));
        lent.write_all(b"one").await.expect("it is lent");
        let mut stream = loan.take().expect("it was not taken yet");
        assert_eq!(lent.read(&mut [0; 8]).await.expect("it is closed in good order"), 0);
        assert_eq!(lent.write(b"two").await.expect_err("it is closed").kind(), io::ErrorKind::BrokenPipe);
        stream.write_all(b"three").await.expect("it is open");
        let mut written = [0; 8];
        far.read_exact(&mut written).await.expect("it is open");
        assert_eq!(&written, b"onethree");
    }
}
