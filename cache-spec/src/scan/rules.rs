//! What the parts must be to each other.

use std::ops::Range;

use crate::{Mistake, alphabet};

use super::{Dialect, Kind, Part};

/// Checks all parts of `text` from `start` on.
pub(super) fn check(text: &str, start: usize, dialect: Dialect, parts: &[Part], mistakes: &mut Vec<Mistake>) {
    if text[start..].trim().is_empty() {
        mistakes.clear();
        mistakes.push(empty(start..text.len(), dialect));
        return;
    }
    mistakes.extend(prefix(text, dialect, parts));
    mistakes.extend(parts.windows(2).filter_map(|pair| touching(text, pair)));
    mistakes.extend(parts.windows(3).filter_map(|three| badly_separated(text, three)));
}

fn empty(range: Range<usize>, dialect: Dialect) -> Mistake {
    let name = dialect.name();
    let message = format!("the {name} is empty; begin with a word that says what is cached, as in `user:<id>`");
    Mistake::new(range, message)
}

/// The text begins with a letter.
fn prefix(text: &str, dialect: Dialect, parts: &[Part]) -> Option<Mistake> {
    let first = parts.first()?;
    let range = match &first.kind {
        Kind::Literal { text, .. } if text.starts_with(|c: char| c.is_ascii_alphabetic()) => {
            return None;
        }
        Kind::Literal { text, damaged } => {
            let c = text.chars().next()?;
            if *damaged && !(alphabet::is_unreserved(c) || alphabet::is_separator(c)) {
                return None; // The character itself was refused already.
            }
            first.range.start..first.range.start + if c == '<' { 2 } else { 1 }
        }
        Kind::Value(_) | Kind::Refused(_) | Kind::Any => first.range.clone(),
    };
    let name = dialect.name();
    let written = &text[range.clone()];
    let example = if let Kind::Any = first.kind { "user:*" } else { "user:<id>" };
    let message = format!(
        "`{written}` cannot come first; \
         a {name} begins with a word that says what is cached, as in `{example}`"
    );
    Some(Mistake::new(range, message))
}

/// Two parts that stand for any text have nothing between them.
fn touching(text: &str, pair: &[Part]) -> Option<Mistake> {
    let [left, right] = pair else { return None };
    if !(is_open(left) && is_open(right)) {
        return None;
    }
    let range = left.range.start..right.range.end;
    if let (Kind::Any, Kind::Any) = (&left.kind, &right.kind) {
        return Some(Mistake::new(range, "`**` says no more than `*`; write `*`"));
    }
    let (left, right) = (shown(text, left), shown(text, right));
    let message = format!(
        "nothing separates `{left}` from `{right}`, so a key would not tell where one ends; \
         put a separator between them, as in `{left}:{right}`"
    );
    Some(Mistake::new(range, message))
}

/// Between two parts that stand for any text is only what may occur in their values.
fn badly_separated(text: &str, three: &[Part]) -> Option<Mistake> {
    let [left, Part { kind: Kind::Literal { text: between, damaged: false }, range }, right] = three else {
        return None;
    };
    if !(is_open(left) && is_open(right)) || between.contains(alphabet::is_separator) {
        return None;
    }
    let (left, right) = (shown(text, left), shown(text, right));
    let message = format!(
        "`{between}` may occur inside a value, so it does not separate `{left}` from `{right}`; \
         use one of {}, as in `{left}:{right}`",
        alphabet::SEPARATORS
    );
    Some(Mistake::new(range.clone(), message))
}

fn is_open(part: &Part) -> bool {
    match part.kind {
        Kind::Value(_) | Kind::Refused(_) | Kind::Any => true,
        Kind::Literal { .. } => false,
    }
}

fn shown(text: &str, part: &Part) -> String {
    match &part.kind {
        Kind::Refused(meant) => meant.clone(),
        Kind::Value(_) | Kind::Any | Kind::Literal { .. } => text[part.range.clone()].to_owned(),
    }
}
