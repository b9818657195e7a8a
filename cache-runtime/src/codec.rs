//! How a value becomes bytes for the second tier, and comes back.
//!
//! Whatever the codec: a value is given out only if it has the [digest](crate::schema) of the one that was stored, and
//! a function's values are [tried](choice) before they are stored.

mod choice;
mod coder;
mod formats;
#[cfg_attr(
    not(any(feature = "bincode", feature = "postcard")),
    expect(dead_code, unreachable_code, clippy::unnecessary_wraps, reason = "every codec of this build writes names")
)]
mod positional;
mod reader;
mod tree;

use std::fmt;
use std::str::FromStr;

pub(crate) use self::choice::CodecChoice;
#[expect(unreachable_pub, reason = "named by `Shape`, which the macros see; nobody outside makes one")]
pub use self::coder::Coder;
pub(crate) use self::coder::Encoded;
use self::formats::Format;
use crate::error::Error;

/// The format of the values in the second tier. Every stored value names its own, so that processes with different
/// settings read each other's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Codec {
    /// Compact, by position: `bincode` 2. Carries no field names, so types with `#[serde(flatten)]`,
    /// `skip_serializing_if` or untagged enums cannot use it; they fall back to a codec with names.
    #[cfg(feature = "bincode")]
    Bincode,
    /// Compact, by position: `postcard`. As [`Codec::Bincode`].
    #[cfg(feature = "postcard")]
    Postcard,
    /// Compact, with field names.
    #[cfg(feature = "msgpack")]
    MessagePack,
    /// Readable with `redis-cli`, with field names. Knows no numbers over 64 bits, no infinity, and as keys of maps only
    /// text and numbers; values with others are stored by another codec.
    Json,
}

/// Calls `$function` of the format of a codec.
macro_rules! dispatch {
    ($codec:expr, $format:ident => $call:expr) => {
        match $codec {
            #[cfg(feature = "bincode")]
            Codec::Bincode => {
                type $format = formats::Bincode;
                $call
            }
            #[cfg(feature = "postcard")]
            Codec::Postcard => {
                type $format = formats::Postcard;
                $call
            }
            #[cfg(feature = "msgpack")]
            Codec::MessagePack => {
                type $format = formats::MessagePack;
                $call
            }
            Codec::Json => {
                type $format = formats::Json;
                $call
            }
        }
    };
}
use dispatch;

impl Codec {
    /// Every codec of this build, the ones that know field names first: the order in which a function falls back.
    pub(crate) const FALLBACKS: &'static [Self] = &[
        #[cfg(feature = "msgpack")]
        Self::MessagePack,
        Self::Json,
        #[cfg(feature = "bincode")]
        Self::Bincode,
        #[cfg(feature = "postcard")]
        Self::Postcard,
    ];

    /// The codec of a cache that was told nothing: the first one that is compiled in.
    pub const DEFAULT: Self = formats::DEFAULT;

    /// What a stored value calls it. Never changes its meaning.
    pub(crate) fn id(self) -> u8 {
        dispatch!(self, F => F::ID)
    }

    /// The codec of an id; nothing if it is unknown or not part of this build.
    pub(crate) fn of_id(id: u8) -> Option<Self> {
        Self::FALLBACKS.iter().copied().find(|codec| codec.id() == id)
    }

    /// It writes no names: what a field is follows from its place.
    fn is_positional(self) -> bool {
        dispatch!(self, F => F::IS_POSITIONAL)
    }

    fn name(self) -> &'static str {
        dispatch!(self, F => F::NAME)
    }
}

impl Default for Codec {
    fn default() -> Self {
        Self::DEFAULT
    }
}

impl fmt::Display for Codec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Codec {
    type Err = Error;

    /// By name: `bincode`, `postcard`, `msgpack`, `json`.
    fn from_str(name: &str) -> Result<Self, Error> {
        Self::FALLBACKS.iter().copied().find(|codec| codec.name() == name).ok_or_else(|| {
            let names: Vec<_> = Self::FALLBACKS.iter().map(|codec| format!("`{codec}`")).collect();
            Error::Setting {
                name: "codec",
                problem: format!("`{name}` is no codec of this build, which has {}", names.join(", ")),
            }
        })
    }
}

/// Why a value did not become bytes, or bytes no value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum CodeError {
    /// The codec says no, in its words.
    Codec(String),
    /// Bytes are left over behind the value.
    Trailing,
    /// What came out is not what went in.
    Digest,
    /// The value's `Serialize` failed, or it is nested too deep.
    Partial,
    /// Fields were left out, which only a codec with names can tell.
    Uneven,
    /// The type's own `Serialize` or `Deserialize` panicked.
    Panicked,
    /// The value is of another type than its function's.
    ForeignType,
}

impl CodeError {
    /// The codec's own words. By value, since a closure around it would be compiled for each type again.
    fn of<E: fmt::Display>(error: E) -> Self {
        Self::Codec(error.to_string())
    }
}

impl fmt::Display for CodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Codec(reason) => f.write_str(reason),
            Self::Trailing => f.write_str("bytes are left over behind the value"),
            Self::Digest => f.write_str("what comes out is not what went in"),
            Self::Partial => f.write_str("its `Serialize` failed, or it is nested more than 128 levels deep"),
            Self::Uneven => f.write_str("fields were left out (`skip_serializing_if`), which takes a codec with names"),
            Self::Panicked => f.write_str("its `Serialize` or `Deserialize` panicked"),
            Self::ForeignType => f.write_str("the value is of another type than its function's"),
        }
    }
}

/// A coder of every type that the tests know.
#[cfg(any(test, fuzzing))]
pub(crate) fn coders() -> Vec<Coder> {
    samples::samples().into_iter().map(|sample| sample.coder).collect()
}

#[cfg(test)]
mod change_tests;
#[cfg(test)]
mod choice_tests;
#[cfg(test)]
mod mutation_tests;
#[cfg(test)]
mod reader_tests;
#[cfg(any(test, fuzzing))]
mod samples;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_codec_is_found_by_its_id_and_by_its_name() {
        for &codec in Codec::FALLBACKS {
            assert_eq!(Codec::of_id(codec.id()), Some(codec));
            assert_eq!(codec.to_string().parse::<Codec>().expect("its own name"), codec);
        }
        assert_eq!(Codec::of_id(0), None);
        assert_eq!(Codec::of_id(255), None);
    }

    #[test]
    fn an_unknown_codec_is_refused_with_those_there_are() {
        let error = "xml".parse::<Codec>().expect_err("there is no such codec");
        assert!(error.to_string().starts_with("`codec`: `xml` is no codec of this build, which has "), "{error}");
        assert!(error.to_string().contains("`json`"), "{error}");
    }
}
