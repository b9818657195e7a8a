//! The form of a key outside the in-process tier.

use crate::key::{KeyPart, KeyWriter, Parts};

/// One piece of a key template.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Piece {
    /// Text as it stands.
    Literal(&'static str),
    /// The value of the placeholder with this number.
    Value(usize),
}

/// One piece of a group pattern.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PatternPiece {
    /// Text as it stands.
    Literal(&'static str),
    /// The value of the pattern's placeholder with this number.
    Value(usize),
    /// `*`: whatever stands there.
    Any,
}

/// The secret under which `<arg:hash>` parts are hashed.
pub(crate) type HashKey = [u8; 32];

/// The digest of a part: of its text and not of its bytes, so that who has an event's JSON alone comes to the same.
pub(super) fn digest_of(part: &(impl KeyPart + ?Sized)) -> [u8; 32] {
    let mut text = String::new();
    part.write(&mut KeyWriter::text(&mut text));
    digest_of_text(&text)
}

fn digest_of_text(text: &str) -> [u8; 32] {
    blake3::hash(text.as_bytes()).into()
}

/// What a key shows of a hashed part with this text.
pub(crate) fn hashed(text: &str, hash_key: &HashKey) -> String {
    shown(&digest_of_text(text), hash_key)
}

/// 128 bits under the secret: no two values of one key meet before 2^64.
fn shown(digest: &[u8; 32], hash_key: &HashKey) -> String {
    blake3::keyed_hash(hash_key, digest).to_hex()[..32].to_owned()
}

/// A text whose hashed parts wait for the secret of a cache.
#[derive(Clone, Debug, Default)]
pub(crate) struct Draft {
    /// What stands in front of the first digest: mostly all of it.
    text: String,
    /// Digests, and what stands behind each.
    hashed: Vec<([u8; 32], String)>,
}

impl Draft {
    /// A text with this beginning.
    fn after(beginning: String) -> Self {
        Self { text: beginning, hashed: Vec::new() }
    }

    /// The same text with another beginning in the place of so many bytes.
    pub(crate) fn replace_beginning(&mut self, length: usize, beginning: &str) {
        self.text.replace_range(..length, beginning);
    }

    fn end(&mut self) -> &mut String {
        match self.hashed.last_mut() {
            Some((_, behind)) => behind,
            None => &mut self.text,
        }
    }

    fn push_part(&mut self, parts: &dyn Parts, number: usize) {
        let part = parts.one(number);
        match part.digest() {
            Some(digest) => self.hashed.push((digest, String::new())),
            None => part.write(&mut KeyWriter::text(self.end())),
        }
    }

    /// The text under the secret of a cache.
    pub(crate) fn into_text(self, hash_key: &HashKey) -> String {
        let Self { mut text, hashed } = self;
        for (digest, behind) in hashed {
            text.push_str(&shown(&digest, hash_key));
            text.push_str(&behind);
        }
        text
    }
}

/// The text of a key, its template with these values, after this beginning.
pub(crate) fn key_draft(beginning: String, pieces: &[Piece], parts: &dyn Parts) -> Draft {
    let mut draft = Draft::after(beginning);
    for piece in pieces {
        match piece {
            Piece::Literal(literal) => draft.end().push_str(literal),
            Piece::Value(number) => draft.push_part(parts, *number),
        }
    }
    draft
}

/// The text of a pattern with these values; `binds` says which part each of its placeholders is.
pub(crate) fn pattern_draft(pieces: &[PatternPiece], binds: impl Fn(usize) -> usize, parts: &dyn Parts) -> Draft {
    let mut draft = Draft::after(String::with_capacity(48));
    for piece in pieces {
        match piece {
            PatternPiece::Literal(literal) => draft.end().push_str(literal),
            PatternPiece::Any => draft.end().push('*'),
            PatternPiece::Value(number) => draft.push_part(parts, binds(*number)),
        }
    }
    draft
}
