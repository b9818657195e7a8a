//! Reads what stands between `<` and `>`.

use std::ops::Range;

use crate::template::Placeholder;
use crate::{Mistake, alphabet, suggest};

use super::Dialect;

const HASH: &str = "hash";

/// Reads the placeholder that fills `range` of `text`, brackets included.
pub(super) fn parse(text: &str, range: Range<usize>, dialect: Dialect) -> Result<Placeholder, Vec<Mistake>> {
    let inner = &text[range.start + 1..range.end - 1];
    if inner.trim().is_empty() {
        let written = &text[range.clone()];
        let named = dialect.named();
        let message = format!("`{written}` holds no name; write the {named}'s name, as in `<id>`");
        return Err(vec![Mistake::new(range, message)]);
    }
    let compact = without_space(inner);
    if compact.len() < inner.len() && read(&compact, 0, dialect).is_ok() {
        let message = format!("`<{inner}>` holds white space; write `<{compact}>`");
        return Err(vec![Mistake::new(range, message)]);
    }
    let (names, hashed) = read(inner, range.start + 1, dialect)?;
    Ok(Placeholder::new(names, hashed, range))
}

/// The text without white space at its ends and around its `.` and `:`.
fn without_space(text: &str) -> String {
    let tidy = |text: &str, mark: &str| text.split(mark).map(str::trim).collect::<Vec<_>>().join(mark);
    tidy(&tidy(text, "."), ":")
}

/// What `text` begins with that looks like a path, with `:hash` where it follows.
pub(super) fn leading_path(text: &str) -> &str {
    let length = text.find(|c| !in_path(c)).unwrap_or(text.len());
    let path = text[..length].trim_end_matches(['.', '#']);
    let hashed = text[path.len()..].strip_prefix(':').and_then(|rest| rest.strip_prefix(HASH));
    match hashed {
        Some(rest) if !path.is_empty() && !rest.starts_with(in_path) => &text[..path.len() + 1 + HASH.len()],
        _ => path,
    }
}

/// What `text` ends with that looks like a path, with its `:hash`.
pub(super) fn trailing_path(text: &str) -> &str {
    let unhashed = text.strip_suffix(HASH).and_then(|rest| rest.strip_suffix(':'));
    let end = unhashed.unwrap_or(text).trim_end_matches(in_path).len();
    let path = &text[end..];
    if path.starts_with(alphabet::begins_name) { path } else { "" }
}

fn in_path(c: char) -> bool {
    alphabet::continues_name(c) || matches!(c, '.' | '#')
}

/// The names of the path and whether it is hashed. `at` is where `inner` begins.
fn read(inner: &str, at: usize, dialect: Dialect) -> Result<(Vec<String>, bool), Vec<Mistake>> {
    if inner.contains("::") {
        let fixed = inner.replace("::", ".");
        let message = format!("`::` cannot stand in `<{inner}>`; fields follow a `.`, as in `<{fixed}>`");
        return Err(vec![Mistake::new(at..at + inner.len(), message)]);
    }
    let (path, modifier) = match inner.split_once(':') {
        Some((path, modifier)) => (path, Some(modifier)),
        None => (inner, None),
    };
    let mut mistakes = Vec::new();
    let names = names(path, at, dialect, &mut mistakes);
    if let Some(modifier) = modifier.filter(|&modifier| modifier != HASH) {
        let start = at + path.len() + 1;
        mistakes.push(Mistake::new(start..at + inner.len(), unknown_modifier(path, modifier)));
    }
    if mistakes.is_empty() { Ok((names, modifier.is_some())) } else { Err(mistakes) }
}

fn unknown_modifier(path: &str, modifier: &str) -> String {
    if modifier.is_empty() {
        return format!("`<{path}:>` names no modifier; write `<{path}>` or `<{path}:{HASH}>`");
    }
    match suggest::nearest(modifier, [HASH]) {
        Some(_) => format!("`{modifier}` is no modifier; did you mean `<{path}:{HASH}>`?"),
        None => format!("`{modifier}` is no modifier; write `<{path}>` or `<{path}:{HASH}>`"),
    }
}

/// The names of `path`, without `r#`.
fn names(path: &str, at: usize, dialect: Dialect, mistakes: &mut Vec<Mistake>) -> Vec<String> {
    let bare = |segment: &str| segment.strip_prefix("r#").unwrap_or(segment).to_owned();
    let names: Vec<_> = path.split('.').map(bare).collect();
    if names.iter().any(String::is_empty) {
        mistakes.push(Mistake::new(at..at + path.len(), empty_name(path, &names)));
        return names;
    }
    let mut start = at;
    for (index, segment) in path.split('.').enumerate() {
        let message = match index {
            0 => refused_root(segment, names.len() == 1, dialect),
            _ => refused_field(segment),
        };
        let range = start..start + segment.len();
        mistakes.extend(message.map(|message| Mistake::new(range, message)));
        start += segment.len() + 1;
    }
    names
}

fn empty_name(path: &str, names: &[String]) -> String {
    let filled: Vec<_> = names.iter().map(String::as_str).filter(|name| !name.is_empty()).collect();
    let meant = if filled.is_empty() { "id".to_owned() } else { filled.join(".") };
    format!("`<{path}>` holds an empty name; write `<{meant}>`")
}

/// Why `segment` cannot be the first of a path.
fn refused_root(segment: &str, alone: bool, dialect: Dialect) -> Option<String> {
    match (segment, dialect) {
        ("self", Dialect::Pattern) => Some(
            "`self` is no event field; the placeholders of a pattern name fields of the event, \
             as in `<id>`"
                .to_owned(),
        ),
        ("self", Dialect::Template) if alone => Some(
            "`<self>` is a whole value; name the field that tells two of them apart, \
             as in `<self.id>`"
                .to_owned(),
        ),
        ("self", Dialect::Template) => None,
        _ => refused_name(segment, dialect.named()),
    }
}

/// Why `segment` cannot be a later one of a path.
fn refused_field(segment: &str) -> Option<String> {
    if is_index(segment) {
        return None;
    }
    if !segment.bytes().all(|byte| byte.is_ascii_digit()) {
        return refused_name(segment, "field");
    }
    let meant = segment.trim_start_matches('0');
    let meant = if meant.is_empty() { "0" } else { meant };
    Some(if is_index(meant) {
        format!("`{segment}` is no tuple index; write `{meant}`")
    } else {
        format!("`{segment}` is too large for a tuple index; write one, as in `0`")
    })
}

fn refused_name(segment: &str, what: &str) -> Option<String> {
    let bare = segment.strip_prefix("r#").unwrap_or(segment);
    if alphabet::is_never_a_name(bare) {
        return Some(format!("`{segment}` names no {what}, it is a keyword; write the {what}'s name, as in `id`"));
    }
    if alphabet::is_name(bare) {
        return None;
    }
    let wrong = call(segment).or_else(|| several_names(segment));
    Some(wrong.unwrap_or_else(|| no_name(segment, what)))
}

fn call(segment: &str) -> Option<String> {
    let called = segment.strip_suffix("()").filter(|name| alphabet::is_name(name))?;
    Some(format!("`{segment}` is a call; a placeholder takes names, fields and tuple indexes, as in `{called}`"))
}

fn several_names(segment: &str) -> Option<String> {
    let words = segment.split(|c: char| c == ',' || c.is_whitespace());
    let words: Vec<_> = words.filter(|word| !word.is_empty()).collect();
    let each = words.join(">:<");
    (words.len() > 1)
        .then(|| format!("`{segment}` is more than one name; write a placeholder for each, as in `<{each}>`"))
}

fn no_name(segment: &str, what: &str) -> String {
    let kept: String = segment.chars().filter(|&c| alphabet::continues_name(c)).collect();
    let meant = alphabet::is_name(&kept) && !alphabet::is_never_a_name(&kept);
    let fix = if meant { format!("; did you mean `{kept}`?") } else { ", as in `id`".to_owned() };
    format!(
        "`{segment}` names no {what}; \
         a name is letters, digits and `_`, and does not begin with a digit{fix}"
    )
}

/// The index of a tuple field as Rust writes it.
fn is_index(text: &str) -> bool {
    text.parse::<u32>().is_ok_and(|index| index.to_string() == text)
}
