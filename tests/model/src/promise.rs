//! What a call is promised when it begins, and what counts as a broken promise.

use crate::config::Config;
use crate::protocol::{State, Step, Version, has};

/// Why a call may not be given anything older than it needs; the first of these that asks for the most.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Promise {
    /// Nothing was promised yet.
    #[default]
    Nothing,
    /// `l1 = off`: every invalidation that returned before the call began.
    Strict,
    /// Every invalidation that its own process issued, the queued ones too.
    OwnProcess,
    /// The invalidation whose token it carries.
    Causal,
    /// Every invalidation whose writer was told that all processes know.
    Everywhere,
    /// Every invalidation that its process has applied from the bus.
    Heard,
    /// Every invalidation that returned `max_staleness` before it began.
    Bounded,
}

/// A broken promise.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Flaw {
    /// A call was given a value that is older than promised.
    Stale(Promise),
    /// A fill was accepted whose lease does not stand in the slot: revoked, superseded or spent.
    FilledWithoutLease,
    /// The right to serve was extended over messages that were neither applied nor answered by dropping everything.
    SkippedMessages,
    /// The second tier was read while invalidations of this process waited.
    ReadBeforeReplay,
    /// A call lost more flights than it may.
    RetriedTooOften,
}

/// The oldest version that a call may be given which begins now, and why.
#[must_use]
pub fn needs(config: &Config, state: &State, call: usize) -> (Version, Promise) {
    needs_but(config, state, call, 0)
}

/// The same, if these writes were lost by a failover: what Redis loses after it was acknowledged is not promised.
#[must_use]
pub fn needs_but(config: &Config, state: &State, call: usize, lost: u8) -> (Version, Promise) {
    let mut needs = (0, Promise::Nothing);
    for write in (0..config.writes.len()).filter(|write| !has(lost, *write)) {
        if let Some(promise) = promised(config, state, call, write)
            && state.writes[write].version > needs.0
        {
            needs = (state.writes[write].version, promise);
        }
    }
    needs
}

/// Why this call must see this write, if it must.
fn promised(config: &Config, state: &State, call: usize, write: usize) -> Option<Promise> {
    let (spec, told) = (&config.calls[call], &config.writes[write]);
    if !has(told.names, spec.key) {
        return None;
    }
    let written = &state.writes[write];
    let (has_returned, is_own) = (is_applied(written.step), told.process == Some(spec.process));
    let has_heard = written.id != 0 && written.id <= state.processes[spec.process].applied;
    let is_lost = matches!(written.step, Step::Forgotten | Step::Dead);
    if has_returned && !config.keys[spec.key].l1 && told.process.is_some() {
        Some(Promise::Strict)
    } else if is_own && (has_returned || written.step == Step::Queued) {
        Some(Promise::OwnProcess)
    } else if has_returned && spec.after == Some(write) {
        Some(Promise::Causal)
    } else if has_returned && written.is_everywhere {
        Some(Promise::Everywhere)
    } else if has_heard && !is_own && !is_lost && config.staleness > 0 {
        Some(Promise::Heard)
    } else if matches!(written.step, Step::Applied(age) if age >= config.staleness) && told.process.is_some() {
        Some(Promise::Bounded)
    } else {
        None
    }
}

fn is_applied(step: Step) -> bool {
    matches!(step, Step::Applied(_))
}
