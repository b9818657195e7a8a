//! A value as it stands in the second tier, opened and sealed: envelope, codec, and what must hold for it to be used.

use std::time::Duration;

use crate::clock::Moment;
use crate::codec::Coder;
use crate::envelope::{self, Envelope, Place, Sealed, Times};
use crate::function::Function;
use crate::l1::Life;
use crate::metric::Metric;
use crate::node::Node;
use crate::rules::Rule;
use crate::second::Second;
use crate::shape::Kept;
use crate::store::{Stamp, Token};

/// A value of the second tier that may be used.
#[derive(Clone, Debug)]
pub(crate) struct Stored {
    pub(crate) kept: Kept,
    /// Estimated bytes in memory.
    pub(crate) bytes: usize,
    /// How long ago it was stored; nothing while the server's clock is not known.
    pub(crate) age: Option<Duration>,
    /// The rest of its life, past that the rest of the time that it may be served; nothing while the server's clock is not
    /// known.
    pub(crate) remaining: Option<Duration>,
    /// The rest of its life in the in-process tier; nothing where it must not be kept there.
    pub(crate) life: Option<Life>,
}

/// What stored bytes are worth.
#[derive(Clone, Debug)]
pub(crate) enum Opened {
    Fresh(Stored),
    /// Past its lifetime, but it may be served while it is refreshed.
    Stale(Stored),
    /// Invalidated with one of its groups, or past its life.
    Over,
    /// Damaged, foreign, or of another shape.
    Damaged,
}

/// Whose value is to be opened.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Opening<'a> {
    pub(crate) entry: &'a str,
    pub(crate) function: &'static Function,
    pub(crate) coder: &'static Coder,
}

impl Opening<'_> {
    /// The value in these bytes, which were asked for at `sent` together with these stamps of its groups.
    pub(crate) fn open(
        &self,
        node: &Node,
        second: &Second,
        bytes: &[u8],
        stamps: &[Option<Stamp>],
        sent: Moment,
    ) -> Opened {
        let opened = match Envelope::read(self.entry, bytes, second.settings.max_value) {
            Ok(opened) => opened,
            Err(damage) => return self.damaged(damage.kind(), &format!("{damage:?}")),
        };
        if !opened.stamps.are(stamps) && node.rules.holds(Rule::Stamps) {
            return Opened::Over;
        }
        let Times { stored_at, soft, .. } = opened.envelope.times;
        // No longer than this process's own attribute says, whoever stored it.
        let full = self.function.stored_lifetime(opened.envelope.absent).unwrap_or_default();
        let soft = soft.min(full);
        let asked = node.on_system_time(sent);
        let age = second.clock.latest(asked).map(|now| Duration::from_millis(now.saturating_sub(stored_at)));
        let age = age.filter(|_| stored_at > 0);
        let is_stale = age.is_some_and(|age| age >= soft);
        let served = if is_stale { soft.saturating_add(self.function.staleness()) } else { soft };
        let remaining = age.map(|age| served.saturating_sub(age));
        if remaining.is_some_and(|remaining| remaining.is_zero()) {
            return Opened::Over;
        }
        let digest = opened.envelope.digest ^ self.function.mark();
        let decoded = match self.coder.decode(&opened.payload, opened.envelope.codec, digest) {
            Ok(decoded) => decoded,
            Err(error) => return self.damaged("value", &error.to_string()),
        };
        let life = age.and_then(|age| self.near_life(decoded.absent, soft, sent, age));
        let stored = Stored { kept: decoded.kept, bytes: decoded.bytes, age, remaining, life };
        if is_stale { Opened::Stale(stored) } else { Opened::Fresh(stored) }
    }

    /// The rest of a value's life in the in-process tier: it does not begin anew.
    fn near_life(&self, absent: bool, soft: Duration, sent: Moment, age: Duration) -> Option<Life> {
        let most = self.function.lifetime(absent)?;
        let full = self.function.stored_lifetime(absent)?;
        let jitter_share = share_of(full, soft, self.function.spec().jitter);
        let deadline = sent.after(soft).before(age)?.min(sent.after(most));
        Some(Life { deadline, jitter_share })
    }

    fn damaged(&self, kind: &'static str, problem: &str) -> Opened {
        let function = self.function.spec().name;
        tracing::debug!(function, key = self.entry, kind, problem, "stored bytes are no value of this function");
        Opened::Damaged
    }
}

/// The share of the jitter that made `soft` of `full`, of 255.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "between 0 and 255 after the clamp")]
fn share_of(full: Duration, soft: Duration, jitter: u8) -> u8 {
    if jitter == 0 || full.is_zero() {
        return 0;
    }
    let taken = 1.0 - soft.as_secs_f64() / full.as_secs_f64();
    (taken * 100.0 / f64::from(jitter) * 255.0).round().clamp(0.0, 255.0) as u8
}

/// A value on its way into the second tier.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sealing<'a> {
    pub(crate) entry: &'a str,
    pub(crate) kept: &'a Kept,
    /// Of its groups, from before its load.
    pub(crate) stamps: &'a [Stamp],
    /// How long it is fresh, after jitter.
    pub(crate) life: Duration,
    /// How long it may be served in all.
    pub(crate) hard: Duration,
    /// How long its load took.
    pub(crate) load: Duration,
}

impl Sealing<'_> {
    /// The bytes of its slot; nothing if it cannot be stored.
    pub(crate) fn seal(
        &self,
        node: &Node,
        second: &Second,
        function: &'static Function,
        coder: &'static Coder,
    ) -> Option<Vec<u8>> {
        let choice = &node.state(function).codec;
        let Some(mut encoded) = choice.encode(function.spec().name, coder, self.kept, second.settings.codec) else {
            node.count(function, Metric::Unstorable);
            return None;
        };
        encoded.digest ^= function.mark();
        // Unknown, it is as old as time, and never copied into an in-process tier.
        let stored_at = second.clock.earliest(node.system_time().now()).unwrap_or(0);
        let times = Times { stored_at, soft: self.life, hard: self.hard, load: self.load };
        let settings =
            envelope::Settings { compress_over: second.settings.compress_over, max_value: second.settings.max_value };
        // A name of its own: whoever held the lease can fill once.
        let place = Place { key: self.entry, token: Token::fresh() };
        match envelope::seal(&settings, &encoded, times, self.stamps, place) {
            Sealed::Bytes(bytes) => Some(bytes),
            Sealed::TooLarge(bytes) => {
                node.count(function, Metric::Unstorable);
                let (function, key) = (function.spec().name, self.entry);
                tracing::debug!(function, key, bytes, "a value is larger than may be stored");
                None
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::l1::shortened;

    #[test]
    fn the_share_of_the_jitter_is_found_again() {
        let full = Duration::from_mins(5);
        for share in [0, 1, 100, 200, 255] {
            assert_eq!(share_of(full, shortened(full, 20, share), 20), share);
        }
        assert_eq!(share_of(full, full, 0), 0);
    }
}
