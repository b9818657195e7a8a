//! Key templates: `user:<tenant>:<id>`.
//!
//! | written | means |
//! |---|---|
//! | `user:` | itself; ASCII letters, digits, `_` `.` `~` `-` and the separators `:` `/` `=` `@` `\|` `+` |
//! | `<<` | a literal `<`, which is a separator too |
//! | `<id>` | the argument `id`; `<type>` and `<r#type>` both mean `r#type` |
//! | `<order.id>`, `<pair.0>`, `<self.id>` | a field of an argument, or of the receiver |
//! | `<query:hash>` | its digest: for long or private values |
//!
//! A template begins with a letter, and two placeholders have a separator between them.

mod overlap;
mod placeholder;

use std::fmt;

use crate::Mistake;
use crate::scan::{Dialect, Kind, scan};

pub use placeholder::Placeholder;

/// A template without mistakes. [`Display`](fmt::Display) writes it so that it parses to an equal
/// one.
///
/// ```
/// use cache_spec::template::{Piece, Template};
///
/// let template = Template::parse("user:<tenant>:<id>").expect("a template without mistakes");
/// let [Piece::Literal(user), Piece::Value(0), Piece::Literal(colon), Piece::Value(1)] =
///     template.pieces()
/// else {
///     panic!("four pieces")
/// };
/// assert_eq!((user.as_str(), colon.as_str()), ("user:", ":"));
/// assert_eq!(template.to_string(), "user:<tenant>:<id>");
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Template {
    pieces: Vec<Piece>,
    placeholders: Vec<Placeholder>,
}

/// One piece of a template.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Piece {
    /// Text that stands for itself, unescaped. Never empty, and never next to another one.
    Literal(String),
    /// The value of a placeholder: its index in [`Template::placeholders`].
    Value(usize),
}

impl Template {
    /// Reads a template.
    ///
    /// # Errors
    /// Every mistake in `text`, in the order of their places.
    pub fn parse(text: &str) -> Result<Self, Vec<Mistake>> {
        let mut template = Self { pieces: Vec::new(), placeholders: Vec::new() };
        for part in scan(text, 0, Dialect::Template)? {
            let piece = match part.kind {
                Kind::Literal { text, .. } => Piece::Literal(text),
                Kind::Value(placeholder) => Piece::Value(placeholder.index_in(&mut template.placeholders)),
                Kind::Refused(_) | Kind::Any => continue, // Both would be mistakes.
            };
            template.pieces.push(piece);
        }
        Ok(template)
    }

    /// The pieces in order. The first is a literal.
    #[must_use]
    pub fn pieces(&self) -> &[Piece] {
        &self.pieces
    }

    /// The distinct placeholders, in the order of their first appearance. `<id>` and `<id:hash>`
    /// are two.
    #[must_use]
    pub fn placeholders(&self) -> &[Placeholder] {
        &self.placeholders
    }

    /// Whether there is a key that both templates can produce.
    ///
    /// A value may be any text without separators, empty or not. A placeholder that stands twice
    /// counts as two, so the answer may be `true` where only the equality of its values keeps the
    /// keys apart.
    ///
    /// ```
    /// use cache_spec::template::Template;
    ///
    /// let parse = |text| Template::parse(text).expect("a template without mistakes");
    /// assert!(parse("user:<id>").overlaps(&parse("user:new")));
    /// assert!(!parse("user:<id>").overlaps(&parse("user:<id>:orders")));
    /// ```
    #[must_use]
    pub fn overlaps(&self, other: &Self) -> bool {
        self.common_key(other).is_some()
    }

    /// A key that both templates can produce, to show why they [overlap](Self::overlaps).
    ///
    /// ```
    /// use cache_spec::template::Template;
    ///
    /// let parse = |text| Template::parse(text).expect("a template without mistakes");
    /// let key = parse("user:<id>:a").common_key(&parse("user:new-<name>:<part>"));
    /// assert_eq!(key.as_deref(), Some("user:new-:a"));
    /// ```
    #[must_use]
    pub fn common_key(&self, other: &Self) -> Option<String> {
        overlap::common_key(&self.pieces, &other.pieces)
    }
}

impl fmt::Display for Template {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for piece in &self.pieces {
            match piece {
                Piece::Literal(text) => f.write_str(&escaped(text))?,
                Piece::Value(index) => self.placeholders[*index].fmt(f)?,
            }
        }
        Ok(())
    }
}

/// Text that stands for itself, as it is written: `<` as `<<`.
pub(crate) fn escaped(text: &str) -> String {
    text.replace('<', "<<")
}

#[cfg(test)]
mod tests;
