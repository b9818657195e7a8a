//! One direction of a connection: bytes are read, judged, and written when they are due.

use std::io::{self, ErrorKind};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{ReadHalf, WriteHalf};
use tokio::sync::mpsc::{Receiver, Sender, channel};
use tokio::time::{Instant, sleep_until};

use super::connection::Live;
use super::{Direction, Fault, Shared};

/// So many pieces may be under way; beyond that nothing more is read, as in a full network.
const UNDER_WAY: usize = 1024;

/// In so many pieces per second throttled bytes arrive.
const THROTTLED_PIECES: u32 = 50;

pub(super) struct Lane<'a> {
    live: &'a Live,
    shared: &'a Shared,
    direction: Direction,
    /// The rule that applied last, and how many bytes have come under it.
    counted: (u64, usize),
    /// When the last piece is due: the next one may not overtake it.
    due: Instant,
    /// Something was dropped: nothing can follow it.
    silenced: bool,
}

/// What is on its way.
enum Piece {
    Bytes {
        due: Instant,
        bytes: Vec<u8>,
    },
    /// The sender has no more to say.
    End,
    /// The connection ends, both ways.
    Cut,
}

impl<'a> Lane<'a> {
    pub(super) fn new(live: &'a Live, shared: &'a Shared, direction: Direction) -> Self {
        Self { live, shared, direction, counted: (0, 0), due: Instant::now(), silenced: false }
    }

    /// Carries bytes until one side has no more to say; an error ends the connection.
    pub(super) async fn carry(mut self, from: ReadHalf<'_>, to: WriteHalf<'_>) -> io::Result<()> {
        let (queue, pieces) = channel(UNDER_WAY);
        let (live, shared, back) = (self.live, self.shared, self.direction.opposite());
        let is_heard = || !matches!(shared.rules.find(live, back).fault, Fault::Hold | Fault::Drop);
        tokio::try_join!(self.receive(from, queue), deliver(to, pieces, is_heard))?;
        Ok(())
    }

    async fn receive(&mut self, mut from: ReadHalf<'_>, queue: Sender<Piece>) -> io::Result<()> {
        let mut buffer = vec![0; 16 * 1024];
        loop {
            let read = from.read(&mut buffer).await;
            let bytes = &buffer[..*read.as_ref().unwrap_or(&0)];
            self.live.see(self.direction, bytes);
            if !bytes.is_empty() {
                self.pass_all(bytes, &queue).await?;
                continue;
            }
            self.silenced |= self.fault().await == Fault::Drop;
            if self.silenced {
                return Ok(());
            }
            read?;
            return send(&queue, Piece::End).await;
        }
    }

    /// Passes bytes on. What applies is asked again before each piece of what is throttled: it may be over by then.
    async fn pass_all(&mut self, mut bytes: &[u8], queue: &Sender<Piece>) -> io::Result<()> {
        while !bytes.is_empty() {
            let fault = self.fault().await;
            self.silenced |= fault == Fault::Drop;
            let mut length = bytes.len();
            if let Fault::Throttle(per_second) = fault
                && !self.silenced
            {
                length = length.min(piece_of(per_second));
                if !self.paced(length, per_second).await {
                    continue;
                }
            }
            let (piece, rest) = bytes.split_at(length);
            if !self.silenced {
                self.pass(fault, piece.to_vec(), queue).await?;
            }
            self.counted.1 += length;
            bytes = rest;
        }
        Ok(())
    }

    /// What applies to the bytes that have just arrived. While it is [`Fault::Hold`], they wait here.
    async fn fault(&mut self) -> Fault {
        let (live, shared, direction) = (self.live, self.shared, self.direction);
        let find = || {
            let applied = shared.rules.find(live, direction);
            (applied.fault != Fault::Hold).then_some(applied)
        };
        let applied = match find() {
            Some(applied) => applied,
            None => shared.rules.until(find).await,
        };
        if applied.rule != self.counted.0 {
            self.counted = (applied.rule, 0);
        }
        applied.fault
    }

    async fn pass(&mut self, fault: Fault, mut bytes: Vec<u8>, queue: &Sender<Piece>) -> io::Result<()> {
        let passed = self.counted.1;
        match fault {
            Fault::Pass | Fault::Hold | Fault::Drop | Fault::Throttle(_) => {
                self.queue(bytes, Duration::ZERO, queue).await
            }
            Fault::Delay(delay) => self.queue(bytes, delay, queue).await,
            Fault::CutAfter(length) if passed + bytes.len() < length => self.queue(bytes, Duration::ZERO, queue).await,
            Fault::CutAfter(length) => {
                bytes.truncate(length.saturating_sub(passed));
                self.queue(bytes, Duration::ZERO, queue).await?;
                send(queue, Piece::Cut).await
            }
            Fault::Corrupt(place) => {
                if let Some(byte) = place.checked_sub(passed).and_then(|place| bytes.get_mut(place)) {
                    *byte ^= 1;
                }
                self.queue(bytes, Duration::ZERO, queue).await
            }
        }
    }

    async fn queue(&mut self, bytes: Vec<u8>, delay: Duration, queue: &Sender<Piece>) -> io::Result<()> {
        self.due = self.due.max(Instant::now() + delay);
        send(queue, Piece::Bytes { due: self.due, bytes }).await
    }

    /// Waits until so many throttled bytes are due. False as soon as another rule applies: they are not throttled then, or
    /// not so much.
    async fn paced(&mut self, length: usize, per_second: u32) -> bool {
        let (live, shared, direction, rule) = (self.live, self.shared, self.direction, self.counted.0);
        let length = u32::try_from(length).unwrap_or(u32::MAX);
        let due = self.due.max(Instant::now()) + Duration::from_secs(1) * length / per_second.max(1);
        let is_over = || (shared.rules.find(live, direction).rule != rule).then_some(());
        tokio::select! {
            biased;
            () = shared.rules.until(is_over) => false,
            // tidy: sleep because a slow network is what was asked for
            () = sleep_until(due) => {
                self.due = due;
                true
            }
        }
    }
}

/// How many throttled bytes pass at once.
fn piece_of(per_second: u32) -> usize {
    usize::try_from((per_second / THROTTLED_PIECES).max(1)).unwrap_or(usize::MAX)
}

async fn send(queue: &Sender<Piece>, piece: Piece) -> io::Result<()> {
    queue.send(piece).await.map_err(|_| ErrorKind::BrokenPipe.into())
}

/// Writes the pieces when they are due. That nobody takes them ends the connection, unless `is_heard` says that the news
/// could not travel back.
async fn deliver(mut to: WriteHalf<'_>, mut pieces: Receiver<Piece>, is_heard: impl Fn() -> bool) -> io::Result<()> {
    while let Some(piece) = pieces.recv().await {
        let delivered = match piece {
            Piece::Bytes { due, bytes } => {
                // tidy: sleep because a delay is what was asked for
                sleep_until(due).await;
                to.write_all(&bytes).await
            }
            Piece::End => to.shutdown().await,
            Piece::Cut => return Err(ErrorKind::ConnectionAborted.into()),
        };
        if delivered.is_err() && is_heard() {
            return delivered;
        }
    }
    Ok(())
}
