//! Which events invalidate which keys.

use cache_spec::pattern::Pattern;
use cache_spec::subscription::Subscription;
use proc_macro2::Span;
use syn::{LitStr, Path};

use crate::cached::identity::Identity;
use crate::cached::written::Written;
use crate::diagnostics::Diagnostics;

/// The most events that the runtime takes for one function.
const MOST_ROUTES: usize = 15;

/// An event and the keys it is about.
pub(crate) struct Route {
    pub(crate) event: Path,
    pub(crate) pattern: Pattern,
    /// For each placeholder of the pattern: the template's placeholder at the same place.
    pub(crate) binds: Vec<usize>,
    /// The string literal.
    pub(crate) place: Span,
}

/// Reads `invalidate_on`.
pub(crate) fn routes(
    written: &Written<'_>,
    identity: Option<&Identity>,
    diagnostics: &mut Diagnostics,
) -> Option<Vec<Route>> {
    let Some(given) = &written.args.invalidate_on else {
        return Some(Vec::new());
    };
    if given.value.len() > MOST_ROUTES {
        let message = format!(
            "{} events are too many for one function; at most {MOST_ROUTES} can be kept apart",
            given.value.len()
        );
        diagnostics.report(given.key.span, message);
    }
    refuse_repeated(&given.value, diagnostics);
    let routes = given.value.iter().map(|text| route(text, identity, diagnostics));
    // All of them are read before the first that is mistaken ends it.
    routes.collect::<Vec<_>>().into_iter().collect()
}

fn route(text: &LitStr, identity: Option<&Identity>, diagnostics: &mut Diagnostics) -> Option<Route> {
    let here = Span::mixed_site().located_at(text.span());
    let subscription = diagnostics.accept_text(text, Subscription::parse(&text.value()))?;
    let event = LitStr::new(&subscription.event, here).parse::<Path>();
    let event = diagnostics.accept(event)?;
    let template = &identity?.template;
    let pattern = match subscription.pattern {
        Some(pattern) => pattern,
        None => diagnostics.accept_text(text, Pattern::of_event(template))?,
    };
    let binds = diagnostics.accept_text(text, pattern.bind(template))?;
    Some(Route { event, pattern, binds, place: text.span() })
}

fn refuse_repeated(texts: &[LitStr], diagnostics: &mut Diagnostics) {
    for (at, text) in texts.iter().enumerate() {
        if texts[..at].iter().any(|before| before.value() == text.value()) {
            let message = format!("`{}` is given twice; keep one of them", text.value());
            diagnostics.report(text.span(), message);
        }
    }
}
