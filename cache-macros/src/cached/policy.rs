//! How long values live, and where.

use cache_spec::{Jitter, duration};
use syn::{LitInt, LitStr};

use crate::cached::args::{Args, Tier};
use crate::diagnostics::Diagnostics;
use crate::keys::Given;

/// Lifetimes, tiers and the version of a cached function.
pub(crate) struct Policy {
    pub(crate) ttl: Millis,
    pub(crate) jitter: Jitter,
    pub(crate) negative_ttl: Option<Millis>,
    pub(crate) load_timeout: Option<Millis>,
    pub(crate) stale_while_revalidate: Option<Millis>,
    pub(crate) l1: L1,
    pub(crate) l2: bool,
    pub(crate) version: u32,
}

/// A duration that is not zero.
#[derive(Clone, Copy)]
pub(crate) struct Millis(pub(crate) u64);

/// The in-process tier.
#[derive(Clone, Copy)]
pub(crate) enum L1 {
    On,
    Off,
    For(Millis),
}

impl Policy {
    pub(crate) fn of(args: &Args, diagnostics: &mut Diagnostics) -> Option<Self> {
        refuse_no_tier(args, diagnostics);
        let ttl = ttl(args, diagnostics);
        let jitter = args.jitter.as_ref().map_or(Some(Jitter::NONE), |jitter| jitter_of(&jitter.value, diagnostics));
        let negative_ttl = optional(args.negative_ttl.as_ref(), diagnostics);
        let load_timeout = optional(args.load_timeout.as_ref(), diagnostics);
        let stale_while_revalidate = optional(args.stale_while_revalidate.as_ref(), diagnostics);
        let l1 = l1(args, diagnostics);
        let version = version(args, diagnostics);
        Some(Self {
            ttl: ttl?,
            jitter: jitter?,
            negative_ttl: negative_ttl?,
            load_timeout: load_timeout?,
            stale_while_revalidate: stale_while_revalidate?,
            l1: l1?,
            l2: args.l2.is_none(),
            version: version?,
        })
    }
}

/// Reads a duration out of a string literal.
pub(crate) fn millis(text: &LitStr, diagnostics: &mut Diagnostics) -> Option<Millis> {
    let duration = diagnostics.accept_text(text, duration::parse(&text.value()))?;
    let millis = u64::try_from(duration.as_millis());
    Some(Millis(millis.expect("the parser allows no more than fits")))
}

fn ttl(args: &Args, diagnostics: &mut Diagnostics) -> Option<Millis> {
    match (&args.ttl, &args.later.ttl_with) {
        (Some(ttl), _) => millis(&ttl.value, diagnostics),
        (None, Some(_)) => None,
        (None, None) => {
            let message = "`ttl` is missing: it says how long a value is served, e.g. `ttl = \"5m\"`";
            diagnostics.missing("ttl", message);
            None
        }
    }
}

/// `Some(None)` when the key is not there, `None` when it is mistaken.
#[expect(clippy::option_option, reason = "absent and mistaken are two things")]
fn optional(text: Option<&Given<LitStr>>, diagnostics: &mut Diagnostics) -> Option<Option<Millis>> {
    match text {
        Some(text) => millis(&text.value, diagnostics).map(Some),
        None => Some(None),
    }
}

fn jitter_of(percent: &LitInt, diagnostics: &mut Diagnostics) -> Option<Jitter> {
    let parsed = Jitter::parse(&percent.to_string().replace('_', ""));
    parsed.map_err(|mistake| diagnostics.report(percent.span(), mistake)).ok()
}

fn l1(args: &Args, diagnostics: &mut Diagnostics) -> Option<L1> {
    match args.l1.as_ref().map(|l1| &l1.value) {
        None => Some(L1::On),
        Some(Tier::Off) => Some(L1::Off),
        Some(Tier::For(text)) => millis(text, diagnostics).map(L1::For),
    }
}

fn version(args: &Args, diagnostics: &mut Diagnostics) -> Option<u32> {
    let Some(version) = &args.version else {
        return Some(1);
    };
    let number = version.value.base10_parse::<u32>().ok().filter(|number| *number > 0);
    if number.is_none() {
        let message = format!("`{}` is no version; write a whole number from 1, as in `version = 2`", version.value);
        diagnostics.report(version.value.span(), message);
    }
    number
}

fn refuse_no_tier(args: &Args, diagnostics: &mut Diagnostics) {
    if let (Some(Given { value: Tier::Off, .. }), Some(l2)) = (&args.l1, &args.l2) {
        let message = "`l1 = off` and `l2 = off` leave no tier to keep a value in; keep one of them on";
        diagnostics.report(l2.key.span, message);
    }
}
