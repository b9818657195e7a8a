//! A stream whose replies are bounded: for a connection that only wants to know whether there is something.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// Reads so many bytes between two writes at most; what goes beyond breaks it.
#[derive(Debug)]
pub(crate) struct Bounded<S> {
    stream: S,
    most: usize,
    left: usize,
}

impl<S> Bounded<S> {
    pub(crate) fn new(stream: S, most: usize) -> Self {
        Self { stream, most, left: most }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Bounded<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.left == 0 {
            return Poll::Ready(Err(io::Error::other(format!("a reply is longer than {} bytes", self.most))));
        }
        let room = self.left.min(buffer.remaining());
        let mut part = ReadBuf::new(buffer.initialize_unfilled_to(room));
        ready!(Pin::new(&mut self.stream).poll_read(context, &mut part))?;
        let read = part.filled().len();
        self.left -= read;
        buffer.advance(read);
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Bounded<S> {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.left = self.most;
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::Bounded;

    #[tokio::test]
    async fn replies_are_read_up_to_their_bound_each() {
        let (near, mut far) = tokio::io::duplex(64);
        let mut near = Bounded::new(near, 8);
        let mut reply = [0; 8];
        for _ in 0..2 {
            near.write_all(b"ask").await.expect("there is room");
            far.write_all(b"12345678").await.expect("there is room");
            near.read_exact(&mut reply).await.expect("it is not longer");
            assert_eq!(&reply, b"12345678");
        }
        far.write_all(b"9").await.expect("there is room");
        let error = near.read_exact(&mut reply[..1]).await.expect_err("it is longer");
        assert_eq!(error.to_string(), "a reply is longer than 8 bytes");
    }
}
