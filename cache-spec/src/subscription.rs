//! What a function subscribes to: `UserUpdated`, or `TenantPurged => user:<tenant>:*`.

use std::fmt;
use std::ops::Range;

use crate::pattern::Pattern;
use crate::{Mistake, alphabet};

const ARROW: &str = "=>";

/// An event and, unless it is the function's own key, the pattern of the keys it is about.
///
/// ```
/// use cache_spec::subscription::Subscription;
///
/// let bare = Subscription::parse("events::UserUpdated").expect("no mistakes");
/// assert_eq!((bare.event.as_str(), bare.pattern), ("events::UserUpdated", None));
///
/// let group = Subscription::parse("TenantPurged => user:<tenant>:*").expect("no mistakes");
/// assert!(group.pattern.is_some_and(|pattern| pattern.is_group()));
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Subscription {
    /// The path of the event's type, as in `UserUpdated` or `events::UserUpdated`.
    pub event: String,
    /// What stands behind `=>`.
    pub pattern: Option<Pattern>,
}

impl Subscription {
    /// Reads a subscription.
    ///
    /// # Errors
    /// Every mistake in `text`, in the order of their places.
    pub fn parse(text: &str) -> Result<Self, Vec<Mistake>> {
        if text.trim().is_empty() {
            let message = "the subscription is empty; write the type of an event, \
                           as in `UserUpdated`, or `UserUpdated => user:<id>`";
            return Err(vec![Mistake::new(0..text.len(), message)]);
        }
        if let Some(mistake) = misspelt(text) {
            return Err(vec![mistake]);
        }
        let (path, pattern) = match text.find(ARROW) {
            Some(at) => (0..at, Some(at + ARROW.len())),
            None => (0..text.len(), None),
        };
        let event = event(text, path);
        let pattern = pattern.map(|start| pattern_from(text, start)).transpose();
        match (event, pattern) {
            (Ok(event), Ok(pattern)) => Ok(Self { event, pattern }),
            (event, pattern) => Err(event.err().into_iter().chain(pattern.err().into_iter().flatten()).collect()),
        }
    }
}

/// As it is written in an attribute.
impl fmt::Display for Subscription {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.event)?;
        match &self.pattern {
            Some(pattern) => write!(f, " {ARROW} {pattern}"),
            None => Ok(()),
        }
    }
}

/// Reads what stands behind `=>`.
fn pattern_from(text: &str, start: usize) -> Result<Pattern, Vec<Mistake>> {
    let rest = &text[start..];
    if rest.trim().is_empty() {
        let event = text[..start - ARROW.len()].trim();
        let message = format!(
            "nothing stands behind `=>`; write a pattern, as in `{event} => user:<id>`, \
             or `{event}` alone"
        );
        return Err(vec![Mistake::new(start - ARROW.len()..start, message)]);
    }
    Pattern::parse_from(text.trim_end(), text.len() - rest.trim_start().len())
}

/// Other ways to write what could have been a subscription.
fn misspelt(text: &str) -> Option<Mistake> {
    let written = text.trim();
    if let Some((at, _)) = text.match_indices(ARROW).nth(1) {
        let message = format!("`=>` stands twice in `{written}`; write one subscription per text");
        return Some(Mistake::new(at..at + ARROW.len(), message));
    }
    if let Some(at) = comma(text) {
        let items = text.split(',').map(str::trim).filter(|item| !item.is_empty());
        let items: Vec<_> = items.map(|item| format!("\"{item}\"")).collect();
        let items = items.join(", ");
        let message = format!("one text names one event; write a list, `[{items}]`");
        return Some(Mistake::new(at..at + 1, message));
    }
    let no_arrow = !text.contains(ARROW) && text.contains(['<', '*']);
    no_arrow.then(|| Mistake::new(0..text.len(), without_arrow(written)))
}

/// What is wrong with a text that holds a pattern, but no `=>`.
fn without_arrow(written: &str) -> String {
    let event = alphabet::leading_name(written);
    let rest = &written[event.len()..];
    let pattern = rest.trim_start_matches(['-', '=', '>', ':', '~', ' ']);
    if !event.starts_with(char::is_uppercase) {
        format!("`{written}` names no event; write its type first, as in `Event => {written}`")
    } else if rest.starts_with('<') {
        format!("`{written}` has generic arguments, but an event is a plain type; write `{event}`")
    } else {
        format!("`{written}` has no `=>` behind the event; write `{event} {ARROW} {pattern}`")
    }
}

/// The first comma, when it stands outside a placeholder.
fn comma(text: &str) -> Option<usize> {
    let at = text.find(',')?;
    let inside = text[..at].rfind('<') > text[..at].rfind('>');
    (!inside).then_some(at)
}

/// The path that fills `range` of `text`, without white space.
fn event(text: &str, range: Range<usize>) -> Result<String, Mistake> {
    let written = text[range.clone()].trim();
    if written.is_empty() {
        let fixed = text[range.end..].trim();
        let message = format!("no event stands before `=>`; write its type, as in `Event {fixed}`");
        return Err(Mistake::new(range.end..range.end + ARROW.len(), message));
    }
    let segments: Vec<_> = written.split("::").map(str::trim).collect();
    let absolute = segments.len() > 1 && segments[0].is_empty();
    let checked = &segments[usize::from(absolute)..];
    let path = if absolute { "::" } else { "" }.to_owned() + &checked.join("::");
    if let Some((index, segment)) = checked.iter().enumerate().find(|&(index, segment)| !is_segment(segment, index)) {
        let start = range.start + text[range.clone()].len() - text[range].trim_start().len();
        return Err(Mistake::new(start..start + written.len(), no_segment(written, segment, index)));
    }
    Ok(path)
}

fn is_segment(segment: &str, index: usize) -> bool {
    match segment {
        "crate" | "self" => index == 0,
        "super" => true,
        _ => {
            let bare = segment.strip_prefix("r#").unwrap_or(segment);
            alphabet::is_name(bare) && !alphabet::is_never_a_name(bare)
        }
    }
}

fn no_segment(path: &str, segment: &str, index: usize) -> String {
    let wrong = match segment {
        "" => format!("`{path}` holds an empty name"),
        "crate" | "self" if index > 0 => format!("`{segment}` cannot stand inside `{path}`"),
        _ if segment == path => format!("`{path}` is no type"),
        _ => format!("`{segment}` in `{path}` is no name"),
    };
    format!("{wrong}; write the path of an event's type, as in `UserUpdated` or `events::UserUpdated`")
}

#[cfg(test)]
mod tests;
