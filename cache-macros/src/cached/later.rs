//! The keys that this version knows but cannot carry out: checked like the others, then refused.

use crate::arguments::Arguments;
use crate::cached::args::Later;
use crate::cached::load::Ties;
use crate::cached::policy::millis;
use crate::cached::written::Written;
use crate::diagnostics::Diagnostics;
use crate::keys::{Given, Name};

/// Refuses what contradicts itself, and then what is not there yet.
pub(crate) fn check(written: &Written<'_>, ties: &Ties, diagnostics: &mut Diagnostics) {
    let later = &written.args.later;
    let mut checked = Diagnostics::default();
    let durations = [&later.stale_if_error, &later.soft_timeout];
    for given in durations.into_iter().flatten() {
        millis(&given.value, &mut checked);
    }
    refuse_two_lifetimes(written, &mut checked);
    refuse_nothing_stale(written, &mut checked);
    refuse_borrowed(later, ties, &mut checked);
    refuse_unknown_batch(later, written.arguments, &mut checked);
    refuse_percent(later, &mut checked);
    let well = checked.is_empty();
    diagnostics.append(checked);
    // The contradiction is the more useful message: it stays when the version does not.
    for key in given(later).filter(|_| well) {
        let message = format!("`{}` is not available in this version of the cache; remove it", key.text);
        diagnostics.report(key.span, message);
    }
}

fn given(later: &Later) -> impl Iterator<Item = Name> {
    fn name<T>(given: Option<&Given<T>>) -> Option<Name> {
        given.map(|given| given.key)
    }
    let all = [
        name(later.stale_if_error.as_ref()),
        name(later.soft_timeout.as_ref()),
        name(later.early_refresh.as_ref()),
        name(later.ttl_with.as_ref()),
        name(later.batch.as_ref()),
        name(later.audit.as_ref()),
    ];
    all.into_iter().flatten()
}

fn refuse_two_lifetimes(written: &Written<'_>, diagnostics: &mut Diagnostics) {
    if let (Some(_), Some(with)) = (&written.args.ttl, &written.args.later.ttl_with) {
        let message = "`ttl_with` gives each value a lifetime of its own and contradicts `ttl`; keep one of them";
        diagnostics.report(with.key.span, message);
    }
}

fn refuse_nothing_stale(written: &Written<'_>, diagnostics: &mut Diagnostics) {
    let later = &written.args.later;
    let stale = written.args.stale_while_revalidate.is_some() || later.stale_if_error.is_some();
    if let (Some(soft), false) = (&later.soft_timeout, stale) {
        let message = "`soft_timeout` serves a stale value when a load takes long, and nothing stale may be served here; \
                       add `stale_while_revalidate` or `stale_if_error`, or use `load_timeout`";
        diagnostics.report(soft.key.span, message);
    }
}

/// What refreshes in the background cannot keep a borrow of its caller.
fn refuse_borrowed(later: &Later, ties: &Ties, diagnostics: &mut Diagnostics) {
    const BACKGROUND: [&str; 3] = ["stale_if_error", "soft_timeout", "early_refresh"];
    if ties.are_none() {
        return;
    }
    for key in given(later).filter(|key| BACKGROUND.contains(&key.text)) {
        let message = format!("`{}` cannot load in the background {}", key.text, ties.reason());
        diagnostics.report(key.span, message);
    }
}

fn refuse_unknown_batch(later: &Later, arguments: &Arguments, diagnostics: &mut Diagnostics) {
    let Some(Given { value: name, .. }) = &later.batch else {
        return;
    };
    if !arguments.has(&name.to_string()) {
        diagnostics.report(name.span(), format!("`{name}` names no argument; `batch` takes a slice argument"));
    }
}

fn refuse_percent(later: &Later, diagnostics: &mut Diagnostics) {
    let Some(Given { value: percent, .. }) = &later.audit else {
        return;
    };
    if percent.base10_parse::<u8>().is_ok_and(|percent| percent <= 100) {
        return;
    }
    let message = format!("`{percent}` is no percentage; `audit` takes a whole number from `0` to `100`");
    diagnostics.report(percent.span(), message);
}
