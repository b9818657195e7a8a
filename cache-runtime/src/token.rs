//! What a reader shows to see at least what one invalidation has changed.

use std::fmt;
use std::str::FromStr;

use crate::store::Position;

/// A causal token: names one invalidation. A read that carries it, in any process of the same application, is answered
/// with no value whose load began before that invalidation took effect.
///
/// Take it from the receipt of a publish, hand it to whoever acts on the change, for instance in a header, and read
/// inside [`Cache::after`](crate::Cache::after). It is 24 bytes; as text, 32 characters of `A-Za-z0-9_-` that need no
/// quoting anywhere.
///
/// # Examples
///
/// ```
/// use cache_runtime::Token;
///
/// let header = "AAABkB-1ZAAAAAAAAAAAAxoryQ-6kEJV";
/// let token: Token = header.parse()?;
/// assert_eq!(token.to_string(), header);
/// assert_eq!(Token::from_bytes(token.to_bytes()), token);
///
/// let error = "AAABkB".parse::<Token>().expect_err("cut off");
/// assert_eq!(error.to_string(), "a token is 32 characters long, this is 6");
/// # Ok::<(), cache_runtime::InvalidToken>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Token {
    position: Position,
    origin: u64,
}

/// Why a text is no [`Token`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum InvalidToken {
    /// It has another length than 32 characters.
    Length(usize),
    /// The character with this number, from 0, stands in no token.
    Character(usize),
}

/// Three bytes are four characters.
const BYTES: usize = 24;
const CHARACTERS: usize = 32;

/// RFC 4648, section 5: base64 for URLs and file names. 24 bytes need no padding.
const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

impl Token {
    /// The invalidation at this place of the bus, published by the process with this id.
    pub(crate) fn new(position: Position, process: &str) -> Self {
        Self { position, origin: origin(process) }
    }

    /// Where the invalidation stands in the bus.
    pub(crate) fn position(&self) -> Position {
        self.position
    }

    /// Whether the process with this id has published it.
    pub(crate) fn is_of(&self, process: &str) -> bool {
        self.origin == origin(process)
    }

    /// The token as bytes.
    #[must_use]
    pub fn to_bytes(&self) -> [u8; 24] {
        let mut bytes = [0; BYTES];
        bytes[..8].copy_from_slice(&self.position.millis.to_be_bytes());
        bytes[8..16].copy_from_slice(&self.position.sequence.to_be_bytes());
        bytes[16..].copy_from_slice(&self.origin.to_be_bytes());
        bytes
    }

    /// The token with these bytes.
    #[must_use]
    pub fn from_bytes(bytes: [u8; 24]) -> Self {
        let word = |start: usize| u64::from_be_bytes(std::array::from_fn(|at| bytes[start + at]));
        Self { position: Position { millis: word(0), sequence: word(8) }, origin: word(16) }
    }
}

/// A number for a process: what one token tells of it.
fn origin(process: &str) -> u64 {
    let digest = blake3::hash(process.as_bytes());
    u64::from_be_bytes(std::array::from_fn(|at| digest.as_bytes()[at]))
}

impl fmt::Display for Token {
    /// 32 characters.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut text = String::with_capacity(CHARACTERS);
        for three in self.to_bytes().chunks_exact(3) {
            let bits = three.iter().fold(0, |bits, byte| bits << 8 | usize::from(*byte));
            text.extend([18, 12, 6, 0].map(|shift| char::from(ALPHABET[bits >> shift & 63])));
        }
        f.pad(&text)
    }
}

impl FromStr for Token {
    type Err = InvalidToken;

    fn from_str(text: &str) -> Result<Self, InvalidToken> {
        let mut values = [0; CHARACTERS];
        let characters = text.chars().count();
        if characters != CHARACTERS {
            return Err(InvalidToken::Length(characters));
        }
        for (at, character) in text.chars().enumerate() {
            let value = ALPHABET.iter().position(|known| char::from(*known) == character);
            values[at] = value.ok_or(InvalidToken::Character(at))?;
        }
        let mut bytes = [0; BYTES];
        for (three, four) in bytes.chunks_exact_mut(3).zip(values.chunks_exact(4)) {
            let bits = four.iter().fold(0, |bits, value| bits << 6 | value);
            three.copy_from_slice(&bits.to_be_bytes()[size_of::<usize>() - 3..]);
        }
        Ok(Self::from_bytes(bytes))
    }
}

impl fmt::Display for InvalidToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Length(length) => write!(f, "a token is {CHARACTERS} characters long, this is {length}"),
            Self::Character(at) => write!(f, "a token holds letters, digits, `-` and `_`; character {at} is another"),
        }
    }
}

impl std::error::Error for InvalidToken {}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn what_is_printed_is_parsed(millis: u64, sequence: u64, process in ".{0,20}") {
            let token = Token::new(Position { millis, sequence }, &process);
            let text = token.to_string();
            prop_assert_eq!(text.len(), CHARACTERS);
            prop_assert!(text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte)));
            prop_assert_eq!(text.parse::<Token>(), Ok(token));
            prop_assert_eq!(Token::from_bytes(token.to_bytes()), token);
            prop_assert_eq!(token.position(), Position { millis, sequence });
        }

        #[test]
        fn any_text_is_no_panic(text in ".{0,40}") {
            if let Ok(token) = text.parse::<Token>() {
                prop_assert_eq!(token.to_string(), text);
            }
        }
    }

    #[test]
    fn every_process_has_an_origin_of_its_own() {
        let token = Token::new(Position::default(), "a1");
        assert!(token.is_of("a1"));
        assert!(!token.is_of("a2"));
    }

    #[track_caller]
    fn check(text: &str, error: InvalidToken, message: &str) {
        assert_eq!(text.parse::<Token>(), Err(error));
        assert_eq!(error.to_string(), message);
    }

    #[test]
    fn what_is_no_token_says_why() {
        check("", InvalidToken::Length(0), "a token is 32 characters long, this is 0");
        let spoiled = format!("{}+{}", "A".repeat(9), "A".repeat(22));
        check(
            &spoiled,
            InvalidToken::Character(9),
            "a token holds letters, digits, `-` and `_`; character 9 is another",
        );
        check(
            &"é".repeat(32),
            InvalidToken::Character(0),
            "a token holds letters, digits, `-` and `_`; character 0 is another",
        );
    }
}
