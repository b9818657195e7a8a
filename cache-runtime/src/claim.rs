//! The leader's way through the second tier: a value, or the right to load one.
//!
//! ```text
//! read   GET entry and stamps, with every other read that waits
//!          value, stamps equal  -> hit
//!          value, stamps differ -> take its place by its beginning   -> leased
//!          nothing              -> take the lease                     -> leased, or what is there now
//!          lease                -> mark, wait for a wake-up or poll   -> read again
//! ```
//!
//! The command that takes a lease answers with what stands there instead. So where a function finds nothing more often
//! than a value, and has no stamps to be read, it takes the lease at once: a miss has one round trip less.

mod allowance;
mod refresh;

use std::mem;
use std::pin::pin;
use std::task::Poll;
use std::time::Duration;

use bytes::Bytes;

use crate::clock::Moment;
use crate::codec::Coder;
use crate::context::Context;
use crate::fault::Fault;
use crate::flight::{FlightId, Lead};
use crate::function::Function;
use crate::functions::State;
use crate::instant::Instant;
use crate::key::Key;
use crate::lease::Lease;
use crate::metric::Metric;
use crate::read::Missed;
use crate::redis::Reading;
use crate::second::Second;
use crate::shape::Kept;
use crate::store::{HEAD, Leased, Over, Seen, Slot, Stamp, Token};
use crate::stored::{Opened, Opening, Stored};
use crate::timer;
use crate::waits::WAITS;

pub(crate) use self::allowance::Allowance;
pub(crate) use self::refresh::{Refresh, Renewal};

/// Tries after which a key that changes all the time is loaded without a lease.
const MOST_TRIES: u32 = 8;

/// So many loads of others are waited for: where none of them leaves a value, each process loads for itself, and not one
/// after the other.
const MOST_WAITED_FOR: u32 = 3;

/// The pause before another process's load is looked at again, at first and at most.
const POLLS: (Duration, Duration) = (Duration::from_millis(25), Duration::from_millis(200));

/// What the second tier gives a leader.
pub(crate) enum Claim {
    /// A value.
    Hit(Stored),
    /// A value past its lifetime, and who loads a newer one.
    Stale(Stored, Renewal),
    /// What this process has of it past its lifetime, while another process loads it, and its age.
    Kept(Kept, Duration),
    /// The right to fill the entry.
    Lease(Lease),
    /// Nothing: it is away, or refuses, or the key changes too fast.
    Without,
    /// Nothing: a load of this process has the lease, and waits for this very caller.
    Itself,
}

/// A leader in the second tier.
#[derive(Clone, Copy)]
pub(crate) struct Claiming<'a> {
    pub(crate) missed: &'a Missed,
    pub(crate) lead: &'a Lead<Key, Kept>,
    pub(crate) coder: &'static Coder,
    pub(crate) second: &'a Second,
}

/// What a look into the slot says.
pub(crate) enum Look {
    Hit(Stored),
    /// A value past its lifetime, with its slot and the stamps of its groups.
    Stale(Box<(Stored, Bytes, Vec<Option<Stamp>>)>),
    Take(Over),
    Wait(Token),
    CoolDown,
}

impl Look {
    /// What was found, taken out of it.
    fn take_claim(&mut self, renewal: Renewal) -> Claim {
        match mem::replace(self, Self::CoolDown) {
            Self::Hit(stored) => Claim::Hit(stored),
            Self::Stale(found) => Claim::Stale(found.0, renewal),
            Self::Take(_) | Self::Wait(_) | Self::CoolDown => Claim::Without,
        }
    }
}

impl<'a> Claiming<'a> {
    /// Whether the lease is to be taken at once, since most likely nothing stands there.
    pub(crate) fn expects_nothing(self) -> bool {
        self.missed.address.stamps.is_empty() && self.state().second.expects_nothing()
    }

    /// Asks for the slot.
    pub(crate) fn ask(self) -> Result<Reading<'a>, Fault> {
        self.begin()?;
        let address = &self.missed.address;
        Ok(self.second.store.read(address.entry(), &address.stamps))
    }

    /// The slot is about to be asked for: whoever joins from here on does not get what is found.
    fn begin(self) -> Result<(), Fault> {
        if !self.second.may_read(&self.missed.address, self.missed.node.rules) {
            return Err(Fault::Away);
        }
        self.lead.reading(self.missed.node.system_time().now().since_origin());
        Ok(())
    }

    /// What the reply says that was asked for at `sent`.
    pub(crate) fn judge(self, seen: Seen, sent: Moment) -> Look {
        let Seen { slot, stamps } = seen;
        match slot {
            Slot::Empty => {
                self.state().second.found(false);
                Look::Take(Over::Nothing)
            }
            Slot::Lease(token) => Look::Wait(token),
            Slot::CoolDown(_) => Look::CoolDown,
            Slot::Garbage(head) => {
                self.count(Metric::Damaged);
                Look::Take(Over::Head(head))
            }
            Slot::Value(bytes) => match self.opening().open(&self.missed.node, self.second, &bytes, &stamps, sent) {
                Opened::Fresh(stored) => {
                    self.state().second.found(true);
                    Look::Hit(stored)
                }
                Opened::Stale(stored) => {
                    self.state().second.found(true);
                    Look::Stale(Box::new((stored, bytes, stamps)))
                }
                Opened::Over => Look::Take(Over::Head(bytes[..HEAD].to_vec())),
                Opened::Damaged => {
                    self.count(Metric::Damaged);
                    Look::Take(Over::Head(bytes[..HEAD].to_vec()))
                }
            },
        }
    }

    /// Goes on after the first look, which was begun at `asked`, until there is a value or the right to load one.
    ///
    /// The look stays where it is: it is large, and a future that is given it by value has room for it twice.
    pub(crate) async fn go_on(&self, first: &mut Result<Look, Fault>, asked: Moment) -> (Claim, Allowance) {
        let spent = self.missed.node.time.now().since(asked);
        let allowance = Allowance::new(self.second.settings.op_timeout, spent);
        let mut search = Search { claiming: self, allowance };
        let found = match first {
            Ok(look) => search.find(look).await,
            Err(fault) => Err(fault.clone()),
        };
        let claim = found.unwrap_or_else(|fault| {
            self.count(Metric::FaultL2);
            tracing::debug!(%fault, kind = fault.kind(), key = self.missed.address.entry(), "loaded without the second tier");
            Claim::Without
        });
        search.allowance.pause();
        (claim, search.allowance)
    }

    /// Who waits when this leader does: its flight, and the loads that it is inside of.
    fn waiting(self) -> Vec<FlightId> {
        let mut waiting = Context::if_any().map(|context| context.flights()).unwrap_or_default();
        waiting.push(self.lead.id());
        waiting
    }

    fn opening(self) -> Opening<'a> {
        Opening { entry: self.missed.address.entry(), function: self.missed.address.function, coder: self.coder }
    }

    fn count(self, metric: Metric) {
        self.state().count(metric);
    }

    fn state(self) -> &'a State {
        self.missed.node.state(self.missed.address.function)
    }
}

/// A leader who found no value at first.
struct Search<'a> {
    claiming: &'a Claiming<'a>,
    allowance: Allowance,
}

impl Search<'_> {
    async fn find(&mut self, look: &mut Look) -> Result<Claim, Fault> {
        let mut waiting = Waiting { since: None, polls: 0, for_token: None, loads: 0 };
        let mut tries = 0;
        loop {
            match look {
                Look::Hit(_) | Look::CoolDown => return Ok(look.take_claim(Renewal::Elsewhere)),
                Look::Stale(found) => {
                    let (_, slot, stamps) = &**found;
                    let renewal = Box::pin(self.refresh(slot, stamps)).await;
                    return Ok(look.take_claim(renewal));
                }
                Look::Take(over) => {
                    let sent = self.claiming.missed.node.time.now();
                    let is_first = *over == Over::Unseen;
                    if is_first {
                        self.claiming.begin()?;
                    }
                    match self.take_over(over).await {
                        Ok(Ok(lease)) => {
                            if is_first {
                                self.claiming.state().second.found(false);
                            }
                            return Ok(Claim::Lease(lease));
                        }
                        Ok(Err(slot)) if is_first => {
                            *look = self.claiming.judge(Seen { slot, stamps: Vec::new() }, sent);
                            continue;
                        }
                        // A server that takes no lease may still have a value.
                        Err(Fault::Refused(..)) if is_first => {}
                        taken => _ = taken?,
                    }
                    tries += 1;
                }
                Look::Wait(token) => {
                    if let Some(claim) = Box::pin(self.wait_for(*token, &mut waiting)).await? {
                        return Ok(claim);
                    }
                }
            }
            if tries == MOST_TRIES {
                return Ok(Claim::Without);
            }
            *look = Box::pin(self.look()).await?;
        }
    }

    async fn look(&mut self) -> Result<Look, Fault> {
        let whole = self.claiming.second.settings.op_timeout;
        let sent = self.claiming.missed.node.time.now();
        let read = pin!(self.claiming.ask()?);
        let seen = self.allowance.spend(whole, read).await?;
        Ok(self.claiming.judge(seen, sent))
    }

    fn function(&self) -> &'static Function {
        self.claiming.missed.address.function
    }

    fn entry(&self) -> &str {
        self.claiming.missed.address.entry()
    }

    /// What is of another type than a value shows to no read, only to who wants to write there.
    async fn take_over(&mut self, over: &Over) -> Result<Result<Lease, Slot>, Fault> {
        match self.take(over).await? {
            Err(Slot::Garbage(head)) => {
                self.claiming.count(Metric::Damaged);
                Box::pin(self.take(&Over::Head(head))).await
            }
            taken => Ok(taken),
        }
    }

    /// The lease, or what stands there instead.
    async fn take(&mut self, over: &Over) -> Result<Result<Lease, Slot>, Fault> {
        let (whole, token) = (self.claiming.second.settings.op_timeout, Token::fresh());
        // Its duty begins before the command is sent: a lease that was taken by a call that left is given back.
        let Claiming { missed, second, lead, .. } = self.claiming;
        let address = &missed.address;
        let mut lease = second.keeper.hold(address.entry(), token, Some(lead.id()));
        let stamp_life = address.function.stamp_life();
        let take = pin!(second.store.lease(address.entry(), over, &address.stamps, stamp_life, token));
        match self.allowance.spend(whole, take).await {
            Ok(Leased::Taken(snapshot)) => {
                lease.set_snapshot(snapshot);
                Ok(Ok(lease))
            }
            Ok(Leased::Held(slot)) => {
                lease.forget();
                Ok(Err(slot))
            }
            Err(fault) => {
                if matches!(fault, Fault::Refused(..)) {
                    lease.is_refused();
                }
                Err(fault)
            }
        }
    }

    /// Waits for who has this lease, if that may be waited for. Who has something to be served meanwhile does not, but for
    /// so long after the end of its lifetime as a load may take: others may load all the time, and find nothing to be kept.
    async fn wait_for(&mut self, token: Token, waiting: &mut Waiting) -> Result<Option<Claim>, Fault> {
        let missed = self.claiming.missed;
        let most = Duration::from_millis(self.function().spec().ttl_millis).saturating_add(missed.load_timeout());
        if let Some((kept, age)) = missed.may_be_stale().filter(|(_, age)| *age < most) {
            return Ok(Some(Claim::Kept(kept, age)));
        }
        if waiting.took() >= self.claiming.missed.load_timeout() {
            let (function, key) = (self.function().spec().name, self.entry());
            tracing::warn!(function, key, "another process loads for too long: loaded without the second tier");
            return Ok(Some(Claim::Without));
        }
        if !waiting.may_wait_for(token) {
            return Ok(Some(Claim::Without));
        }
        let load = self.claiming.second.keeper.flight_of(token);
        let edge = load.map(|load| WAITS.wait(self.claiming.waiting(), load));
        if let Some(None) = edge {
            return Ok(Some(Claim::Itself));
        }
        self.wait(token, waiting).await.map(|()| None)
    }

    /// Waits for another process.
    async fn wait(&mut self, token: Token, waiting: &mut Waiting) -> Result<(), Fault> {
        self.allowance.pause();
        if waiting.polls == 0 {
            self.claiming.count(Metric::Waited);
        }
        waiting.polls += 1;
        // Registered before it is marked, looked at again after: no wake-up is lost.
        let wake = self.claiming.second.store.waker(self.entry());
        if let Slot::Lease(still) = self.claiming.second.store.watch(self.entry(), token).await?
            && still == token
        {
            let mut wake = pin!(wake);
            let mut pause = pin!(timer::sleep(waiting.pause()));
            std::future::poll_fn(|context| match wake.as_mut().poll(context) {
                Poll::Ready(()) => Poll::Ready(()),
                Poll::Pending => pause.as_mut().poll(context),
            })
            .await;
        }
        Ok(())
    }
}

/// How long another process is waited for already.
struct Waiting {
    since: Option<Instant>,
    polls: u32,
    for_token: Option<Token>,
    /// How many loads, of whichever processes.
    loads: u32,
}

impl Waiting {
    /// How long, since this was asked for the first time.
    fn took(&mut self) -> Duration {
        self.since.get_or_insert_with(Instant::now).elapsed()
    }

    /// Unless too many loads were waited for already.
    fn may_wait_for(&mut self, token: Token) -> bool {
        if self.for_token.replace(token) != Some(token) {
            self.loads += 1;
        }
        self.loads <= MOST_WAITED_FOR
    }

    /// Doubling, with jitter: those who wait for one key do not all come back at once.
    fn pause(&self) -> Duration {
        let (first, most) = POLLS;
        first.saturating_mul(1 << self.polls.min(3)).min(most).mul_f64(0.75 + fastrand::f64() / 2.0)
    }
}
