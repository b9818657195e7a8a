//! What an invalidation tells the second tier and the other processes, and who has heard of it.

use std::any::{Any, TypeId};
use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::sync::{Arc, Mutex, TryLockError};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use crate::error::Error;
use crate::fault::Fault;
use crate::function::Function;
use crate::instant::Instant;
use crate::metric::Metric;
use crate::node::{Address, Node};
use crate::publish::Receipt;
use crate::routes::{Happened, Plan};
use crate::rules::Rule;
use crate::second::{Announcing, Second};
use crate::steps::Step;
use crate::store::{Ending, Invalidated, Invalidation, Token as LeaseToken};
use crate::sync::lock;
use crate::timer::{self, in_time};
use crate::token::Token;

/// Plans after which routes that change all the time are left to the journal.
const MOST_PLANS: usize = 8;

/// How long an invalidation may be under way, beside what its operations may take: then it waits in the journal.
const PATIENCE: Duration = Duration::from_secs(1);

/// More operations than one invalidation waits for, one after the other, if none of them is late.
const OPERATIONS: u32 = 16;

/// The pause between two looks at who has applied an event, at first and at most.
const POLLS: (Duration, Duration) = (Duration::from_millis(1), Duration::from_millis(50));

/// Something that becomes invalid everywhere.
#[derive(Debug)]
pub(crate) struct Announcement {
    plan: Plan,
    event: Option<Told>,
    put: Option<Put>,
}

/// An event as others are told of it, and whose subscribers hear of it here.
#[derive(Debug)]
struct Told {
    name: &'static str,
    json: Vec<u8>,
    heard_as: TypeId,
}

/// A value that takes the place of an entry: first a lease does, which makes what was there invalid, and then the value,
/// if the lease still stands. A value that arrives late, when its writer has long given it up, puts nothing.
#[derive(Debug)]
pub(crate) struct Put {
    pub(crate) entry: String,
    pub(crate) token: LeaseToken,
    pub(crate) bytes: Vec<u8>,
    pub(crate) life: Duration,
}

impl Announcement {
    /// An event, told as this JSON.
    pub(crate) fn of_event(second: &Second, name: &'static str, json: Vec<u8>, value: &dyn Any) -> Self {
        let plan = second.table.plan(&Happened { name, json: &json, value: Some(value) });
        Self { plan, event: Some(Told { name, json, heard_as: value.type_id() }), put: None }
    }

    /// An event that cannot be told, by the texts that it names in this process.
    pub(crate) fn of_texts(second: &Second, texts: Vec<String>) -> Self {
        let mut plan = second.table.plan_texts(texts);
        plan.spelled = plan.texts().map(str::to_owned).collect();
        Self { plan, event: None, put: None }
    }

    /// One key, and its new value.
    pub(crate) fn of_key(second: &Second, address: &Address, put: Option<Put>) -> Self {
        let mut plan = second.table.plan_key(address.function, address.text().to_owned());
        plan.spelled.push(address.text().to_owned());
        Self { plan, event: None, put }
    }

    pub(crate) fn functions(&self) -> &[&'static Function] {
        &self.plan.functions
    }

    /// Adds what the routes name that have become known since.
    fn plan_again(&mut self, second: &Second) {
        let Some(Told { name, json, .. }) = &self.event else {
            let texts: Vec<_> = self.plan.texts().map(str::to_owned).collect();
            let newer = second.table.plan_texts(texts);
            return self.merge(newer);
        };
        let newer = second.table.plan(&Happened { name, json, value: None });
        self.merge(newer);
    }

    fn merge(&mut self, newer: Plan) {
        self.plan.version = newer.version;
        for named in newer.named {
            self.plan.add(named);
        }
    }

    /// The same, as the store takes it.
    fn invalidation(&self, node: &Node, second: &Second) -> Invalidation {
        let covered: Vec<_> = self.plan.named.iter().flat_map(|named| &named.names).cloned().collect();
        let mut fields = vec![("by", second.id.as_bytes().to_vec())];
        if let Some(Told { name, json, .. }) = &self.event {
            fields.push(("event", name.as_bytes().to_vec()));
            fields.push(("data", json.clone()));
        }
        if !self.plan.spelled.is_empty() {
            fields.push(("keys", array(&self.plan.spelled)));
        }
        fields.push(("covered", array(&covered)));
        let put = self.put.as_ref().map(|put| {
            if node.rules.holds(Rule::FillToken) {
                (put.entry.clone(), put.token.placeholder().to_vec(), second.settings.lease)
            } else {
                (put.entry.clone(), put.bytes.clone(), put.life)
            }
        });
        let unlink = match &self.put {
            // Its place is taken, not emptied.
            Some(put) => covered.into_iter().filter(|name| *name != put.entry).collect(),
            None => covered,
        };
        Invalidation { unlink, put, fields }
    }
}

fn array(texts: &[String]) -> Vec<u8> {
    serde_json::to_vec(texts).expect("an array of text is JSON")
}

/// An announcement on its way. Where that ends early, by a panic, with its runtime or because nobody drives that, it waits in
/// the journal.
struct Sending {
    node: Arc<Node>,
    announcement: Announcement,
    is_sent: bool,
    /// Ends behind the last fence.
    announcing: Announcing,
}

/// Its place on the bus, if it has one, and whether the subscribers of this process could be told, after that.
type Sent = (Option<Token>, Result<(), Error>);

impl Sending {
    async fn run(mut self) -> Sent {
        let token = send(&self.node, &mut self.announcement, &mut self.announcing).await;
        self.is_sent = true;
        (token, self.hand_out())
    }

    fn hand_out(&self) -> Result<(), Error> {
        let Some(told) = &self.announcement.event else { return Ok(()) };
        self.node.subscribers.hand_out(told.heard_as, &told.json)
    }
}

impl Drop for Sending {
    fn drop(&mut self) {
        if let Some(second) = self.node.second.as_ref().filter(|_| !self.is_sent) {
            let invalidation = self.announcement.invalidation(&self.node, second);
            queue(&self.node, second, &self.announcement, invalidation, "its task has ended");
            let _nobody_asks = self.hand_out();
        }
    }
}

/// Makes it invalid everywhere, then tells the subscribers of this process: who hears of an event and reads finds the new
/// value. A task of its own does it: it goes on when the caller leaves.
///
/// # Errors
/// A subscriber of this process does not understand the event.
///
/// # Cancel safety
///
/// Once polled, it takes effect whether it is waited for or not.
pub(crate) async fn announce(node: &Arc<Node>, announcement: Announcement) -> Result<Receipt, Error> {
    let Some(second) = &node.second else { return Ok(Receipt::applied(announcement.plan.named.len())) };
    for function in announcement.functions() {
        node.count(function, Metric::Invalidated);
    }
    let invalidated = announcement.plan.named.len();
    let watched = node.steps.are_watched().then(|| announcement.plan.texts().map(str::to_owned).collect::<Vec<_>>());
    node.steps.at(Step::Invalidating).await;
    // Whoever loads is detached, and what is kept here unusable, before anything is sent.
    let mut announcing = second.announcing();
    announcing.add(node.slots(announcement.plan.texts()));
    fence(node, &announcement.plan);
    let sending = Sending { node: Arc::clone(node), announcement, is_sent: false, announcing };
    let (token, heard) = in_own_task(second, sending.run()).await;
    if let Some(texts) = watched {
        node.steps.at(Step::Invalidated { texts: &texts, applied: token.is_some() }).await;
    }
    heard.map(|()| Receipt::announced(invalidated, token))
}

/// What is under way in a task, unless it was taken from there.
type Place = Mutex<Option<Pin<Box<dyn Future<Output = Sent> + Send>>>>;

/// Runs it in a task. Where the task's runtime is shutting down, or nobody drives it, nothing is known of what was sent: it
/// is dropped, and waits in the journal.
async fn in_own_task(second: &Second, sending: impl Future<Output = Sent> + Send + 'static) -> Sent {
    let place: Arc<Place> = Arc::new(Mutex::new(Some(Box::pin(sending))));
    let of_task = Arc::clone(&place);
    let mut task = second.runtime.spawn(poll_fn(move |context| poll_in(&of_task, context)));
    let patience = second.settings.op_timeout.saturating_mul(OPERATIONS).saturating_add(PATIENCE);
    let mut sent = in_time(patience, &mut task).await;
    // Where it is being polled, somebody drives it.
    let unfinished = match place.try_lock() {
        Ok(mut place) => place.take(),
        Err(TryLockError::Poisoned(place)) => place.into_inner().take(),
        Err(TryLockError::WouldBlock) => None,
    };
    if unfinished.is_none() && sent.is_none() {
        // It has come to its end this very moment, or is about to go on.
        sent = Some(task.await);
    } else {
        task.abort();
    }
    drop(unfinished);
    sent.and_then(Result::ok).unwrap_or((None, Ok(())))
}

fn poll_in(place: &Place, context: &mut Context<'_>) -> Poll<Sent> {
    let mut place = lock(place);
    let Some(sending) = &mut *place else { return Poll::Ready((None, Ok(()))) };
    let sent = ready!(sending.as_mut().poll(context));
    *place = None;
    Poll::Ready(sent)
}

fn fence(node: &Node, plan: &Plan) {
    node.invalidate_all(plan.texts());
}

/// Its place on the bus; nothing when it waits in the journal.
async fn send(node: &Node, announcement: &mut Announcement, announcing: &mut Announcing) -> Option<Token> {
    let second = node.second.as_ref()?;
    let mut invalidation = announcement.invalidation(node, second);
    for _ in 0..MOST_PLANS {
        let since = second.journal.repeats();
        match tell(node, second, &invalidation, announcement.plan.version.as_deref()).await {
            Ok(Invalidated::At(position)) => {
                // What was read from the second tier since, before it took effect there.
                if node.rules.holds(Rule::SecondBump) {
                    fence(node, &announcement.plan);
                }
                if !second.journal.succeeded(since, &announcement.plan, invalidation) {
                    // It waits only now: whoever read the server's old value since is fenced off as well.
                    fence(node, &announcement.plan);
                    return None;
                }
                if let Some(put) = &announcement.put {
                    fill(second, put).await;
                }
                return Some(Token::new(position, &second.id));
            }
            Ok(Invalidated::RoutesChanged) => match second.store.routes().await {
                Ok((version, fields)) => {
                    let fields = if node.rules.holds(Rule::Routes) { fields } else { Vec::new() };
                    second.table.absorb(version, &fields);
                    announcement.plan_again(second);
                    announcing.add(node.slots(announcement.plan.texts()));
                    fence(node, &announcement.plan);
                    invalidation = announcement.invalidation(node, second);
                }
                Err(fault) => return queue(node, second, announcement, invalidation, &fault.to_string()),
            },
            Err(fault) => return queue(node, second, announcement, invalidation, &fault.to_string()),
        }
    }
    queue(node, second, announcement, invalidation, "the routes change all the time")
}

/// The value takes the place of its lease. Whatever hinders it, the old value is gone; and the lease is given back, or
/// everybody would wait for a load that nobody runs.
async fn fill(second: &Second, put: &Put) {
    let ending = Ending::Fill(&put.bytes, put.life);
    let mut lease = second.keeper.hold(&put.entry, put.token, None);
    lease.set_snapshot(Vec::new());
    match second.store.end(&put.entry, put.token, ending, &[]).await {
        Ok(_) => lease.forget(),
        Err(fault) => tracing::debug!(%fault, key = put.entry, "a value was not put"),
    }
}

/// Unlinks first, tells second; without that rule, the other way round.
async fn tell(
    node: &Node,
    second: &Second,
    invalidation: &Invalidation,
    routes: Option<&str>,
) -> Result<Invalidated, Fault> {
    if node.rules.holds(Rule::UnlinkFirst) {
        return second.store.invalidate(invalidation, routes).await;
    }
    let message = Invalidation { fields: invalidation.fields.clone(), ..Invalidation::default() };
    let told = second.store.invalidate(&message, routes).await?;
    second.store.unlink(invalidation.unlink.clone()).await.map(|()| told)
}

/// It is kept until the server is back; until then its keys are not read there by this process.
fn queue(
    node: &Node,
    second: &Second,
    announcement: &Announcement,
    mut invalidation: Invalidation,
    problem: &str,
) -> Option<Token> {
    tracing::debug!(problem, texts = announcement.plan.named.len(), "an invalidation waits for the server");
    // Whoever read its value meanwhile may be wrong: it is not put later.
    if let Some((entry, _, _)) = invalidation.put.take() {
        invalidation.unlink.push(entry);
    }
    second.journal.add(&announcement.plan, invalidation);
    fence(node, &announcement.plan);
    None
}

/// Waits until every process has applied what the receipt stands for, or has lost the right to serve.
pub(crate) async fn everywhere(node: &Node, receipt: &Receipt, timeout: Duration) -> Result<(), Error> {
    let Some(second) = &node.second else { return Ok(()) };
    let until = Instant::now().checked_add(timeout);
    let mut pause = POLLS.0;
    loop {
        let waiting = waiting(second, receipt).await;
        if waiting == 0 {
            return Ok(());
        }
        if until.is_some_and(|until| Instant::now() >= until) {
            return Err(Error::NotEverywhere { waiting });
        }
        timer::sleep(pause).await;
        pause = (pause * 2).min(POLLS.1);
    }
}

/// How many processes may still serve what the receipt made invalid; at least one where that cannot be told.
async fn waiting(second: &Second, receipt: &Receipt) -> usize {
    let Some(token) = receipt.token() else { return 1 };
    // Who has not read so far over these connections does not know yet whether it is the server that it was, and what has
    // been lost: before it is asked, and when it has answered.
    if !second.has_read_here(token.position()) {
        return 1;
    }
    match second.store.nodes().await {
        Ok(nodes) if second.has_read_here(token.position()) => {
            let others = nodes.seen.iter().filter(|node| node.id != second.id && node.remaining.is_some());
            let behind = others.filter(|node| node.applied < token.position()).count();
            // The server may have lost who reads the bus, or for how long: until their right is over, there may be others.
            let is_unknown = nodes.kept_for <= second.settings.max_staleness || second.has_lost_lately();
            if is_unknown { behind.max(1) } else { behind }
        }
        _ => 1,
    }
}

#[cfg(all(test, feature = "testing"))]
mod tests;
