//! Whether two templates can produce one key.
//!
//! Values never hold a separator, and between two placeholders there always is one. So a key, cut at
//! its separators, falls into as many segments as its template, and each segment has at most one
//! placeholder: `before<value>after`. Two templates overlap when their separators are the same and
//! every pair of segments can be the same text, which needs no search.

use crate::alphabet;

use super::Piece;

/// The text between two separators: fixed, or fixed only at both ends.
enum Segment {
    Fixed(String),
    Open { before: String, after: String },
}

pub(super) fn common_key(left: &[Piece], right: &[Piece]) -> Option<String> {
    let (left, left_separators) = segments(left);
    let (right, right_separators) = segments(right);
    if left_separators != right_separators {
        return None;
    }
    let mut separators = left_separators.into_iter();
    let mut key = String::new();
    for (left, right) in left.iter().zip(&right) {
        key.push_str(&common_text(left, right)?);
        key.extend(separators.next());
    }
    Some(key)
}

fn segments(pieces: &[Piece]) -> (Vec<Segment>, Vec<char>) {
    let mut segments = vec![Segment::Fixed(String::new())];
    let mut separators = Vec::new();
    for piece in pieces {
        match piece {
            Piece::Literal(text) => {
                for c in text.chars() {
                    if alphabet::is_separator(c) {
                        separators.push(c);
                        segments.push(Segment::Fixed(String::new()));
                    } else {
                        last(&mut segments).push(c);
                    }
                }
            }
            Piece::Value(_) => last(&mut segments).open(),
        }
    }
    (segments, separators)
}

fn last(segments: &mut [Segment]) -> &mut Segment {
    segments.last_mut().expect("there is a segment from the start")
}

impl Segment {
    fn push(&mut self, c: char) {
        match self {
            Self::Fixed(text) => text.push(c),
            Self::Open { after, .. } => after.push(c),
        }
    }

    fn open(&mut self) {
        if let Self::Fixed(before) = self {
            *self = Self::Open { before: std::mem::take(before), after: String::new() };
        }
    }
}

/// A text that both segments can be.
fn common_text(left: &Segment, right: &Segment) -> Option<String> {
    match (left, right) {
        (Segment::Fixed(left), Segment::Fixed(right)) => (left == right).then(|| left.clone()),
        (Segment::Fixed(text), Segment::Open { before, after })
        | (Segment::Open { before, after }, Segment::Fixed(text)) => {
            let value = text.strip_prefix(before.as_str())?;
            value.ends_with(after.as_str()).then(|| text.clone())
        }
        (
            Segment::Open { before: left_before, after: left_after },
            Segment::Open { before: right_before, after: right_after },
        ) => {
            let before = longer(left_before, right_before, |long, short| long.starts_with(short))?;
            let after = longer(left_after, right_after, |long, short| long.ends_with(short))?;
            Some(format!("{before}{after}"))
        }
    }
}

/// The longer of two texts, when it contains the other as `fits` demands.
fn longer<'a>(a: &'a str, b: &'a str, fits: impl Fn(&str, &str) -> bool) -> Option<&'a str> {
    let (long, short) = if a.len() >= b.len() { (a, b) } else { (b, a) };
    fits(long, short).then_some(long)
}

#[cfg(test)]
mod tests {
    use super::super::Template;

    #[track_caller]
    fn parsed(text: &str) -> Template {
        Template::parse(text).expect("a template without mistakes")
    }

    #[track_caller]
    fn check_overlap(left: &str, right: &str, key: Option<&str>) {
        let (left, right) = (parsed(left), parsed(right));
        assert_eq!(left.common_key(&right).as_deref(), key);
        assert_eq!(right.common_key(&left).as_deref(), key);
        assert_eq!(left.overlaps(&right), key.is_some());
    }

    #[test]
    fn templates_overlap_when_a_key_fits_both() {
        check_overlap("user:<id>", "user:<name>", Some("user:"));
        check_overlap("user:<id>", "user:new", Some("user:new"));
        check_overlap("user:a<x>b", "user:ab<y>bb", Some("user:abbb"));
        check_overlap("user:<x>.json", "user:v1.<y>", Some("user:v1..json"));
        check_overlap("a:<x>/<y>", "a:1/<y>", Some("a:1/"));
        check_overlap("a<x>", "ab<y>", Some("ab"));
        check_overlap("user", "user", Some("user"));
    }

    #[test]
    fn templates_with_other_text_or_separators_do_not_overlap() {
        check_overlap("user:<id>", "order:<id>", None);
        check_overlap("user:<id>", "user:<id>:orders", None);
        check_overlap("a:<x>/<y>", "a:<x>:<y>", None);
        check_overlap("user:a<x>", "user:b<y>", None);
        check_overlap("user:<x>a", "user:<y>b", None);
        check_overlap("user:ab<x>bc", "user:abc", None);
        check_overlap("user", "user:", None);
    }
}
