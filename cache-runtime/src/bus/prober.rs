//! The one who reads the bus, applies it, and extends the right to serve.

mod patience;

use std::time::Duration;

use tokio::sync::watch;

use crate::bus::apply::{Apply, Heard};
use crate::bus::effects::Effects;
use crate::bus::prober::patience::{Patience, is_late};
use crate::bus::reader::{Gap, Left, Reader, Step};
use crate::bus::remote::{Met, Remote};
use crate::bus::{Links, RETRIES, changed};
use crate::clock::Moment;
use crate::fault::Fault;
use crate::instant::Instant;
use crate::rules::Rule;
use crate::store::{Invalidated, Invalidation, Message, Position, Tail};
use crate::timer;

/// How often the servers without the bus are asked who they are: what they lose may be seen nowhere else.
const ASKED_AGAIN: Duration = Duration::from_secs(3);

/// What one turn has come to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Turn {
    /// There may be more, or others are to see at once how far it was applied.
    Again,
    /// All is applied.
    Rest,
}

pub(super) struct Prober<'a, R: Remote, A> {
    links: &'a Links<R, A>,
    reader: Reader,
    generation: watch::Receiver<u64>,
    /// The connection whose server was looked at last.
    checked: Option<u64>,
    /// When all of them were asked last, of those that told.
    asked: Instant,
    identity: Option<R::Identity>,
    /// Whether the server knows the routes.
    is_registered: bool,
    /// The end of the right to serve.
    right: Option<Moment>,
    is_blind: bool,
    flaws: u64,
    /// With looks that are not answered in time.
    patience: Patience,
    /// Whether the last message was one of which only a part is told.
    ends_long: bool,
}

impl<'a, R: Remote, A: Apply> Prober<'a, R, A> {
    pub(super) fn new(links: &'a Links<R, A>) -> Self {
        Self {
            links,
            reader: Reader::default(),
            generation: links.remote.generation(),
            checked: None,
            asked: Instant::now(),
            identity: None,
            is_registered: false,
            right: None,
            is_blind: false,
            flaws: 0,
            patience: Patience::default(),
            ends_long: false,
        }
    }

    pub(super) async fn run(mut self) {
        while !self.links.apply.is_gone() {
            match self.turn().await {
                Ok(Turn::Again) => {}
                Ok(Turn::Rest) => self.rest().await,
                Err(fault) => self.retry(&fault).await,
            }
        }
    }

    /// One look at the bus, in the order of the protocol: which server, what is new, apply it, extend.
    async fn turn(&mut self) -> Result<Turn, Fault> {
        let generation = *self.generation.borrow_and_update();
        self.check_server(generation).await?;
        self.register().await?;
        let Links { apply, settings, .. } = self.links;
        let (look, sent) = (apply.asks(), apply.time().now());
        let was_late = !self.patience.is_fresh();
        let (probe, is_unreadable) = self.probe().await?;
        let received = apply.time().now();
        let Tail { server_millis, end, messages, more, routes } = probe;
        apply.server_clock(sent, received, server_millis);
        self.ends_long = messages.last().map_or(self.ends_long, is_in_part);
        let turn = match self.reader.apply(end, messages, more) {
            Step::Adopt(gap, Left { known, fresh }) => {
                // Whoever only tells the bus unlinks nothing, and subscribers want to know, once.
                self.unlink(&Effects::of(&known, &self.links.table, &settings.id)).await;
                self.apply(&fresh).await;
                self.lose(if is_unreadable && !gap.is_loss() { Gap::Unreadable } else { gap });
                Turn::Again
            }
            Step::Catch(messages) => {
                self.apply(&messages).await;
                self.lose(Gap::Count);
                Turn::Again
            }
            Step::Apply(messages) if routes.is_none() => {
                self.apply(&messages).await;
                self.lose(Gap::Flushed);
                Turn::Again
            }
            Step::Apply(messages) => {
                self.apply(&messages).await;
                let from = if settings.rules.holds(Rule::RightFromSending) { sent } else { apply.time().now() };
                self.extend(generation, from, look);
                if messages.is_empty() { Turn::Rest } else { Turn::Again }
            }
        };
        self.moved(generation);
        self.well(generation);
        if self.ends_long && was_late {
            self.end_shortly().await?;
        }
        if routes.is_some() && routes != self.links.table.version() {
            self.load_routes().await?;
        }
        Ok(turn)
    }

    /// What stands on the bus, and whether what was to be read is skipped.
    async fn probe(&mut self) -> Result<(Tail, bool), Fault> {
        let from = self.reader.from();
        if !self.patience.is_fresh() {
            // While a server takes no writes, as during a failover by hand, the bus is not to blame.
            self.links.remote.write_nothing().await?;
            if self.patience.is_hopeless() {
                return Err(self.discard().await);
            }
            let time = self.patience.time_to_end();
            let end = self.look(None, time, Patience::end_was_late).await?;
            let is_unreadable = self.patience.end_was_told();
            if is_unreadable || from.is_none() {
                self.patience = Patience::default();
                return Ok((end, is_unreadable));
            }
        }
        let read = self.look(from, self.patience.time_to_read(), Patience::read_was_late).await?;
        self.patience = Patience::default();
        Ok((read, false))
    }

    async fn look(
        &mut self,
        from: Option<Position>,
        more: Duration,
        was_late: fn(&mut Patience),
    ) -> Result<Tail, Fault> {
        let Links { remote, settings, .. } = self.links;
        let began = Instant::now();
        let tail = remote.probe(self.reader.position(), from, settings.most, settings.max_staleness, more).await;
        if let Err(fault) = &tail
            && is_late(fault, more, began.elapsed())
        {
            was_late(&mut self.patience);
        }
        tail
    }

    /// Redis tells the end of the bus with the last message: behind a short one, a long one makes no look long.
    async fn end_shortly(&mut self) -> Result<(), Fault> {
        let Links { remote, table, settings, .. } = self.links;
        let fields = vec![("keys", b"[]".to_vec()), ("by", settings.id.clone().into_bytes())];
        let nothing = Invalidation { fields, ..Invalidation::default() };
        let told = remote.invalidate(&nothing, table.version().as_deref()).await?;
        self.ends_long = told == Invalidated::RoutesChanged;
        Ok(())
    }

    async fn discard(&mut self) -> Fault {
        tracing::warn!("the server takes too long to say where the bus ends: it is deleted, and begins anew");
        let discarded = self.links.remote.discard().await;
        if discarded.is_ok() {
            self.patience = Patience::default();
        }
        discarded.err().unwrap_or(Fault::Timeout)
    }

    /// After every reconnect, and of a cluster now and then: are they the same servers, in the same roles, since the same
    /// start?
    ///
    /// Of a cluster also those without the bus: they may have lost what was unlinked there for what stands on it. One
    /// that does not tell is asked again with the next look.
    async fn check_server(&mut self, generation: u64) -> Result<(), Fault> {
        let (remote, now) = (&self.links.remote, Instant::now());
        if self.checked == Some(generation) {
            if remote.is_single() {
                // The look at the bus asks it, over a connection to none but it.
                self.asked = now;
            }
            if now.saturating_duration_since(self.asked) < ASKED_AGAIN {
                return Ok(());
            }
        }
        let Met { identity, is_another, are_all } = remote.identity(self.identity.as_ref()).await?;
        if is_another && self.links.settings.rules.holds(Rule::Identity) {
            self.reader.forget();
            self.patience = Patience::default();
            self.lose(Gap::Server);
        }
        self.identity = Some(identity);
        self.checked = are_all.then_some(generation);
        if are_all {
            self.asked = now;
        }
        Ok(())
    }

    /// From when they were asked on, nobody knows what becomes of the servers: what they may lose is counted from there.
    fn well(&mut self, generation: u64) {
        if self.checked == Some(generation) && self.is_still(generation) {
            // Behind sentinels, one that was replaced may go on for as long as nobody has asked them.
            let well = self.links.remote.confirmed().map_or(self.asked, |confirmed| confirmed.min(self.asked));
            self.links.journal.well(well);
            self.reader.well(well, Instant::now());
        }
    }

    /// Something may be missing: nothing that is kept in this process is served again.
    fn lose(&mut self, gap: Gap) {
        let Links { apply, journal, settings, .. } = self.links;
        // What is to be repeated waits first: a read between the two would find the old value there, and keep it.
        if gap.is_loss() {
            if settings.is_cold_after_loss { journal.widen_to_everything() } else { journal.repeat_recent() }
        } else if gap == Gap::Start {
            // It may have told another server, which nobody has looked at.
            journal.repeat_first();
        }
        if settings.rules.holds(Rule::Gap) {
            apply.drop_all();
        }
        if !matches!(gap, Gap::Start | Gap::Behind) {
            tracing::warn!("invalidations may have been missed, the in-process tier is emptied: {gap}");
            apply.count(Heard::Gap(gap));
        }
        if gap.is_loss() {
            self.is_registered = false;
            apply.registered(false);
        }
    }

    /// Tells the server the routes of this process, if it does not know them.
    async fn register(&mut self) -> Result<(), Fault> {
        let Links { remote, apply, table, .. } = self.links;
        let is_more = table.link(&apply.functions());
        if self.is_registered && !is_more {
            return Ok(());
        }
        self.is_registered = false;
        remote.register(&table.fields()).await?;
        self.load_routes().await?;
        self.is_registered = true;
        apply.registered(true);
        Ok(())
    }

    async fn load_routes(&self) -> Result<(), Fault> {
        let (version, fields) = self.links.remote.routes().await?;
        self.links.table.absorb(version, &fields);
        Ok(())
    }

    /// Unlinks first what publishers have not, fences off second: who reads in between finds nothing old in either tier.
    async fn apply(&mut self, messages: &[Message]) {
        let Links { apply, table, settings, .. } = self.links;
        let effects = Effects::of(messages, table, &settings.id);
        self.unlink(&effects).await;
        if effects.everything {
            apply.drop_all();
        } else if !effects.texts.is_empty() {
            apply.texts(&effects.texts);
        }
        for (event, json) in &effects.events {
            apply.deliver(event, json);
        }
        (0..effects.heard).for_each(|_| apply.count(Heard::Message));
        for flaw in &effects.flaws {
            self.flaws += 1;
            apply.count(Heard::Flawed);
            if self.flaws.is_power_of_two() {
                tracing::warn!(flaws = self.flaws, "a message on the bus is not understood: {flaw}");
            }
        }
    }

    async fn unlink(&self, effects: &Effects) {
        let Links { remote, apply, journal, .. } = self.links;
        let names = effects.names();
        if names.is_empty() {
            return;
        }
        let count = names.len();
        if let Err(fault) = remote.unlink(names).await {
            tracing::debug!(%fault, names = count, "what a message names is unlinked later");
            return journal.add(&effects.uncovered, Invalidation::default());
        }
        apply.count(Heard::Unlinked(count));
    }

    /// All that was on the bus when it was asked is applied.
    fn extend(&mut self, generation: u64, from: Moment, look: u64) {
        if !self.is_still(generation) {
            return;
        }
        let until = from.after(self.links.settings.max_staleness);
        self.links.apply.extend(until, look);
        self.right = Some(until);
        if std::mem::take(&mut self.is_blind) {
            tracing::info!("the bus is read again: the in-process tier is in use");
        }
    }

    fn moved(&self, generation: u64) {
        let position = self.reader.position();
        if let Some(position) = position
            && self.is_still(generation)
        {
            self.links.apply.applied(position, generation);
        }
        self.links.position.send_replace(position);
    }

    /// Over another connection, another server may have answered: it is looked at first.
    fn is_still(&self, generation: u64) -> bool {
        *self.generation.borrow() == generation
    }

    /// Until something is heard, there is another connection, or it is time.
    async fn rest(&mut self) {
        let pace = self.links.apply.time().sleep(self.pace());
        tokio::select! {
            // Always in this order: a simulated run can be repeated.
            biased;
            () = changed(&mut self.generation) => {}
            () = self.links.heard.notified() => {}
            () = pace => {}
        }
    }

    async fn retry(&mut self, fault: &Fault) {
        let Links { apply, .. } = self.links;
        // The server may be another one in another role.
        self.checked = None;
        apply.count(Heard::Fault);
        tracing::debug!(%fault, "the bus was not read");
        if !self.is_blind && self.right.is_none_or(|right| right <= apply.time().now()) {
            self.is_blind = true;
            tracing::warn!(%fault, "the bus cannot be read: the in-process tier is not used until it can");
        }
        let pause = self.pace().min(RETRIES.0);
        tokio::select! {
            // Always in this order: a simulated run can be repeated.
            biased;
            () = changed(&mut self.generation) => {}
            () = timer::sleep(pause) => {}
        }
    }

    fn pace(&self) -> Duration {
        self.links.settings.max_staleness / 3
    }
}

/// Whether the script that reads has left out what was too long.
fn is_in_part(message: &Message) -> bool {
    message.fields.first().is_some_and(|(name, _)| name == "long")
}
