//! Which keys an event is about: `user:<tenant>:<id>` one, `user:<tenant>:*` a group.
//!
//! A pattern is written like a [template](crate::template), with two differences: a placeholder
//! names a field of the event, and there is `*`. At the end, `*` stands for everything that follows;
//! elsewhere for one part, up to the next separator.

mod bind;
mod of_event;

use std::fmt;
use std::ops::Range;

use crate::Mistake;
use crate::scan::{Dialect, Kind, scan};
use crate::template::{Placeholder, Template, escaped};

/// A pattern without mistakes. [`Display`](fmt::Display) writes it so that it parses to an equal
/// one.
#[derive(Debug, Clone)]
pub struct Pattern {
    pieces: Vec<PatternPiece>,
    placeholders: Vec<Placeholder>,
    /// Where each piece stands in the parsed text.
    places: Vec<Range<usize>>,
}

/// One piece of a pattern.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum PatternPiece {
    /// Text that stands for itself, unescaped. Never empty, and never next to another one.
    Literal(String),
    /// The value of a placeholder: its index in [`Pattern::placeholders`].
    Value(usize),
    /// `*`
    Any,
}

impl Pattern {
    /// Reads a pattern.
    ///
    /// # Errors
    /// Every mistake in `text`, in the order of their places.
    pub fn parse(text: &str) -> Result<Self, Vec<Mistake>> {
        Self::parse_from(text, 0)
    }

    /// Reads the pattern that `text` holds from `start` on.
    pub(crate) fn parse_from(text: &str, start: usize) -> Result<Self, Vec<Mistake>> {
        let mut pattern = Self { pieces: Vec::new(), placeholders: Vec::new(), places: Vec::new() };
        for part in scan(text, start, Dialect::Pattern)? {
            let piece = match part.kind {
                Kind::Literal { text, .. } => PatternPiece::Literal(text),
                Kind::Value(placeholder) => PatternPiece::Value(placeholder.index_in(&mut pattern.placeholders)),
                Kind::Any => PatternPiece::Any,
                Kind::Refused(_) => continue, // It would be a mistake.
            };
            pattern.pieces.push(piece);
            pattern.places.push(part.range);
        }
        Ok(pattern)
    }

    /// What a bare event means: `template` itself, with each placeholder named after the event's
    /// field, which is the [last](Placeholder::last) name of its path. The placeholders of
    /// both correspond one to one.
    ///
    /// ```
    /// use cache_spec::{pattern::Pattern, template::Template};
    ///
    /// let template = Template::parse("order:<self.shop>:<order.id>").expect("no mistakes");
    /// let pattern = Pattern::of_event(&template).expect("two different fields");
    /// assert_eq!(pattern.to_string(), "order:<shop>:<id>");
    /// ```
    ///
    /// # Errors
    /// When two paths end in the same name, or one in a tuple index; then the pattern must be
    /// written. The range is that of the placeholder in the template.
    pub fn of_event(template: &Template) -> Result<Self, Mistake> {
        of_event::of_event(template)
    }

    /// The pieces in order. The first is a literal.
    #[must_use]
    pub fn pieces(&self) -> &[PatternPiece] {
        &self.pieces
    }

    /// The distinct placeholders, in the order of their first appearance.
    #[must_use]
    pub fn placeholders(&self) -> &[Placeholder] {
        &self.placeholders
    }

    /// Whether it holds `*`; otherwise it names exactly one key.
    #[must_use]
    pub fn is_group(&self) -> bool {
        self.pieces.contains(&PatternPiece::Any)
    }

    /// For each placeholder of the pattern, the index of the template's placeholder that stands at
    /// the same place.
    ///
    /// Names need not be equal, since the pattern's are fields of the event and the template's are
    /// arguments; `:hash` must be. Every key of the template is then in exactly one of the
    /// pattern's groups: the one that the pattern gives for the key's own values.
    ///
    /// ```
    /// use cache_spec::{pattern::Pattern, template::Template};
    ///
    /// let template = Template::parse("user:<tenant>:<id>").expect("no mistakes");
    /// let bind = |text| Pattern::parse(text).expect("no mistakes").bind(&template);
    ///
    /// assert_eq!(bind("user:<org>:*"), Ok(vec![0]));
    /// assert_eq!(bind("user:*:<user>"), Ok(vec![1]));
    /// assert_eq!(
    ///     bind("user:<org>").expect_err("not every key").to_string(),
    ///     "`user:<org>` does not fit the template `user:<tenant>:<id>`: \
    ///      it ends where the template goes on with `:<id>`; write `user:<org>:*`"
    /// );
    /// ```
    ///
    /// # Errors
    /// When not every key of the template is in a group of the pattern. The message says where they
    /// part; the range is that of the pattern's piece there.
    pub fn bind(&self, template: &Template) -> Result<Vec<usize>, Mistake> {
        bind::bind(self, template)
    }
}

impl PartialEq for Pattern {
    fn eq(&self, other: &Self) -> bool {
        self.pieces == other.pieces && self.placeholders == other.placeholders
    }
}

impl Eq for Pattern {}

impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for piece in &self.pieces {
            match piece {
                PatternPiece::Literal(text) => f.write_str(&escaped(text))?,
                PatternPiece::Value(index) => self.placeholders[*index].fmt(f)?,
                PatternPiece::Any => f.write_str("*")?,
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
