//! A connection that many operations share: what they ask goes out at once, and replies come back in the same order.
//!
//! Whoever asks writes to the socket itself, as long as that takes what it is given: no task has to be woken for it. What
//! the socket does not take is kept for the driver, the task that reads. It finds where replies end and hands their bytes
//! on as they are, so that they are read by those who asked, each by its own.
//!
//! redis-rs' connection has a task for both directions and makes a value of each string, which is measurably more work for
//! a hit; it enters and tries out a connection before it is used here ([`Loan`]), and carries whatever is pushed.

pub(crate) mod frames;
mod loan;

use std::collections::VecDeque;
use std::fmt;
use std::future::{Future, poll_fn};
use std::io;
use std::mem;
use std::pin::{Pin, pin};
use std::sync::{Arc, Mutex, MutexGuard};
use std::task::{Context, Poll, Waker, ready};

use bytes::{Buf, Bytes, BytesMut};
use redis::{Cmd, Pipeline, RedisError, Value};
use tokio::io::{AsyncReadExt, AsyncWrite, ReadHalf, WriteHalf};
use tokio::sync::oneshot;

use self::frames::{Frames, Malformed};
use crate::redis::dial::Stream;
use crate::sync::lock;

pub(crate) use self::loan::Loan;

/// Bytes that may wait for the socket before those who ask wait too.
const MOST_UNSENT: usize = 1 << 20;

/// Room for what comes next, and the least of it that is worth a read.
const ROOM: usize = 64 << 10;
const LEAST_ROOM: usize = 4 << 10;

/// A handle; operations go on while there is a driver.
#[derive(Clone)]
pub(crate) struct Pipe {
    wire: Arc<Mutex<Wire>>,
}

/// Reads until the connection breaks. Dropped, it breaks it.
pub(crate) struct Driver {
    wire: Arc<Mutex<Wire>>,
    input: ReadHalf<Box<dyn Stream>>,
    inbox: BytesMut,
    frames: Frames,
}

/// The direction to the server, and who waits for what of the other one.
struct Wire {
    /// Nothing once it is broken.
    output: Option<WriteHalf<Box<dyn Stream>>>,
    /// What the socket did not take yet.
    unsent: BytesMut,
    /// Something was written that may still be held back.
    is_unflushed: bool,
    asked: VecDeque<Asked>,
    /// Those who wait until less is unsent.
    blocked: Vec<Waker>,
    driver: Option<Waker>,
    /// Why it is broken.
    reason: Arc<str>,
}

/// One operation that was sent.
struct Asked {
    /// Replies that are missing.
    left: usize,
    replies: BytesMut,
    done: oneshot::Sender<Bytes>,
}

impl Pipe {
    pub(crate) fn new(stream: Box<dyn Stream>) -> (Self, Driver) {
        let (input, output) = tokio::io::split(stream);
        let wire = Arc::new(Mutex::new(Wire {
            output: Some(output),
            unsent: BytesMut::new(),
            is_unflushed: false,
            asked: VecDeque::new(),
            blocked: Vec::new(),
            driver: None,
            reason: Arc::default(),
        }));
        let driver = Driver { wire: Arc::clone(&wire), input, inbox: BytesMut::new(), frames: Frames::new() };
        (Self { wire }, driver)
    }

    /// The reply to a command.
    ///
    /// # Errors
    /// The connection breaks. What the server refuses is a [`Value::ServerError`].
    ///
    /// # Cancel safety
    /// Dropped, it was sent or not; as a whole, and its reply disturbs nobody. The same holds for all that follow.
    pub(crate) async fn command(&self, command: &Cmd) -> Result<Value, RedisError> {
        let packed = command.get_packed_command();
        frames::value(&self.ask(&packed, 1).await?)
    }

    /// The replies to commands that go out together.
    pub(crate) async fn commands(&self, pipeline: &Pipeline) -> Result<Vec<Value>, RedisError> {
        let packed = pipeline.get_packed_pipeline();
        frames::values(&self.ask(&packed, pipeline.len()).await?, pipeline.len())
    }

    /// The bytes of so many replies to what is packed here.
    pub(crate) async fn ask(&self, packed: &[u8], replies: usize) -> Result<Bytes, RedisError> {
        let done = poll_fn(|context| self.send(packed, replies, context)).await?;
        done.await.map_err(|_| self.lock().broken())
    }

    fn send(
        &self,
        packed: &[u8],
        replies: usize,
        context: &Context<'_>,
    ) -> Poll<Result<oneshot::Receiver<Bytes>, RedisError>> {
        let mut wire = self.lock();
        if wire.output.is_none() {
            return Poll::Ready(Err(wire.broken()));
        }
        if wire.unsent.len() > MOST_UNSENT {
            wire.blocked.push(context.waker().clone());
            return Poll::Pending;
        }
        let (done, receiver) = oneshot::channel();
        wire.asked.push_back(Asked { left: replies, replies: BytesMut::new(), done });
        let driver = wire.write(packed);
        drop(wire);
        driver.into_iter().for_each(Waker::wake);
        Poll::Ready(Ok(receiver))
    }

    fn lock(&self) -> MutexGuard<'_, Wire> {
        lock(&self.wire)
    }
}

impl Wire {
    /// Writes what the socket takes at once. The driver, if the rest is left to it.
    fn write(&mut self, packed: &[u8]) -> Option<Waker> {
        let was_idle = self.unsent.is_empty() && !self.is_unflushed;
        let mut rest = packed;
        if was_idle && let Some(output) = &mut self.output {
            // Nobody is to be woken by the socket but the driver, which asks it again.
            let mut context = Context::from_waker(Waker::noop());
            self.is_unflushed = true;
            while !rest.is_empty()
                && let Poll::Ready(Ok(written @ 1..)) = Pin::new(&mut *output).poll_write(&mut context, rest)
            {
                rest = &rest[written..];
            }
            if rest.is_empty() && matches!(Pin::new(output).poll_flush(&mut context), Poll::Ready(Ok(()))) {
                self.is_unflushed = false;
                return None;
            }
        }
        self.unsent.extend_from_slice(rest);
        if was_idle { self.driver.clone() } else { None }
    }

    /// Writes what was left over.
    fn flush(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let Some(output) = &mut self.output else { return Poll::Ready(Ok(())) };
        while !self.unsent.is_empty() {
            match ready!(Pin::new(&mut *output).poll_write(context, &self.unsent))? {
                0 => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                written => self.unsent.advance(written),
            }
        }
        // What was once needed for a burst is not kept.
        self.unsent = BytesMut::new();
        if self.is_unflushed {
            ready!(Pin::new(output).poll_flush(context))?;
            self.is_unflushed = false;
        }
        Poll::Ready(Ok(()))
    }

    fn broken(&self) -> RedisError {
        io::Error::new(io::ErrorKind::BrokenPipe, self.reason.to_string()).into()
    }
}

impl Future for Driver {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        let reason = match ready!(self.run(context)) {
            Ok(()) => "the server closed the connection".to_owned(),
            Err(error) => error.to_string(),
        };
        self.end(&reason);
        Poll::Ready(())
    }
}

impl Driver {
    /// Ends when nothing more will come.
    fn run(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.write(context)?;
        loop {
            // What was handed on may still be in use: its room is had back, or left to it, once this one is used up.
            if self.inbox.capacity() - self.inbox.len() < LEAST_ROOM {
                self.inbox.reserve(ROOM);
            }
            if ready!(pin!(self.input.read_buf(&mut self.inbox)).poll(context))? == 0 {
                return Poll::Ready(Ok(()));
            }
            self.hand_on()?;
        }
    }

    fn write(&self, context: &mut Context<'_>) -> io::Result<()> {
        let mut wire = lock(&self.wire);
        match &mut wire.driver {
            Some(waker) => waker.clone_from(context.waker()),
            waker => *waker = Some(context.waker().clone()),
        }
        if let Poll::Ready(outcome) = wire.flush(context) {
            outcome?;
        }
        let blocked = if wire.unsent.len() > MOST_UNSENT { Vec::new() } else { mem::take(&mut wire.blocked) };
        drop(wire);
        blocked.into_iter().for_each(Waker::wake);
        Ok(())
    }

    /// Gives whole replies to those who asked.
    fn hand_on(&mut self) -> io::Result<()> {
        while let Some(length) = self.frames.next(&self.inbox)? {
            let is_push = self.inbox.first() == Some(&b'>');
            let frame = self.inbox.split_to(length);
            if is_push {
                continue;
            }
            let mut wire = lock(&self.wire);
            let Some(first) = wire.asked.front_mut() else {
                return Err(io::Error::new(io::ErrorKind::InvalidData, "a reply that nobody has asked for"));
            };
            first.replies.unsplit(frame);
            first.left -= 1;
            if first.left == 0 {
                let asked = wire.asked.pop_front();
                drop(wire);
                // Whoever asked may have left.
                asked.map(|Asked { done, replies, .. }| done.send(replies.freeze()));
            }
        }
        Ok(())
    }

    fn end(&self, reason: &str) {
        let mut wire = lock(&self.wire);
        let Some(output) = wire.output.take() else { return };
        wire.reason = reason.into();
        wire.unsent = BytesMut::new();
        let (asked, blocked) = (mem::take(&mut wire.asked), mem::take(&mut wire.blocked));
        drop(wire);
        drop((output, asked));
        blocked.into_iter().for_each(Waker::wake);
    }
}

impl Drop for Driver {
    fn drop(&mut self) {
        self.end("its task was stopped");
    }
}

impl From<Malformed> for io::Error {
    fn from(malformed: Malformed) -> Self {
        Self::new(io::ErrorKind::InvalidData, malformed.to_string())
    }
}

impl fmt::Debug for Pipe {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pipe").field("is_open", &self.lock().output.is_some()).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
