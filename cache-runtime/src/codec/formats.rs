//! The formats themselves. One trait, so that what differs between them stands in one place.

use serde::Deserialize as _;

use crate::codec::positional::Positional;
use crate::codec::tree::Tree;
use crate::codec::{CodeError, Codec};

/// One format.
pub(super) trait Format {
    /// Stands in stored values: never reuse one.
    const ID: u8;
    const NAME: &'static str;
    /// It writes no names: what a field is follows from its place.
    const IS_POSITIONAL: bool;

    fn encode(value: &dyn erased_serde::Serialize) -> Result<Vec<u8>, CodeError>;
}

#[cfg(feature = "bincode")]
pub(super) const DEFAULT: Codec = Codec::Bincode;

#[cfg(all(feature = "postcard", not(feature = "bincode")))]
pub(super) const DEFAULT: Codec = Codec::Postcard;

#[cfg(all(feature = "msgpack", not(any(feature = "bincode", feature = "postcard"))))]
pub(super) const DEFAULT: Codec = Codec::MessagePack;

#[cfg(not(any(feature = "bincode", feature = "postcard", feature = "msgpack")))]
pub(super) const DEFAULT: Codec = Codec::Json;

/// How deep values may be nested in the formats that count it. What is deeper does not come back and is not stored.
#[cfg(feature = "msgpack")]
const DEPTH: usize = 128;

/// `bincode` 2, always read with a limit (see [`Positional`](super::positional::Positional)): without one, a single
/// damaged length aborts the process.
#[cfg(feature = "bincode")]
pub(super) struct Bincode;

#[cfg(feature = "bincode")]
impl Format for Bincode {
    const ID: u8 = 1;
    const NAME: &'static str = "bincode";
    const IS_POSITIONAL: bool = true;

    fn encode(value: &dyn erased_serde::Serialize) -> Result<Vec<u8>, CodeError> {
        // With room for most values: the codec's own vector grows five times for a small one.
        let mut bytes = Vec::with_capacity(256);
        bincode::serde::encode_into_std_write(value, &mut bytes, bincode::config::standard()).map_err(CodeError::of)?;
        Ok(bytes)
    }
}

/// `postcard`.
#[cfg(feature = "postcard")]
pub(super) struct Postcard;

#[cfg(feature = "postcard")]
impl Format for Postcard {
    const ID: u8 = 2;
    const NAME: &'static str = "postcard";
    const IS_POSITIONAL: bool = true;

    fn encode(value: &dyn erased_serde::Serialize) -> Result<Vec<u8>, CodeError> {
        postcard::to_stdvec(value).map_err(CodeError::of)
    }
}

/// `msgpack` with named fields.
#[cfg(feature = "msgpack")]
pub(super) struct MessagePack;

#[cfg(feature = "msgpack")]
impl Format for MessagePack {
    const ID: u8 = 3;
    const NAME: &'static str = "msgpack";
    const IS_POSITIONAL: bool = false;

    fn encode(value: &dyn erased_serde::Serialize) -> Result<Vec<u8>, CodeError> {
        rmp_serde::to_vec_named(value).map_err(CodeError::of)
    }
}

#[cfg(feature = "msgpack")]
impl MessagePack {
    /// All of `bytes`, or nothing.
    fn parse(bytes: &[u8]) -> Result<Tree<'_>, CodeError> {
        use std::io::ErrorKind;

        use rmp_serde::decode::Error;

        let mut deserializer = rmp_serde::Deserializer::from_read_ref(bytes);
        deserializer.set_max_depth(DEPTH);
        let tree = Tree::deserialize(&mut deserializer).map_err(CodeError::of)?;
        // It does not tell where it is, but only at the end of the bytes it finds nothing to take for a `bool`.
        match bool::deserialize(&mut deserializer) {
            Err(Error::InvalidMarkerRead(error)) if error.kind() == ErrorKind::UnexpectedEof => Ok(tree),
            Ok(_) | Err(_) => Err(CodeError::Trailing),
        }
    }
}

/// JSON, which counts nesting by itself (128).
pub(super) struct Json;

impl Format for Json {
    const ID: u8 = 4;
    const NAME: &'static str = "json";
    const IS_POSITIONAL: bool = false;

    fn encode(value: &dyn erased_serde::Serialize) -> Result<Vec<u8>, CodeError> {
        serde_json::to_vec(value).map_err(CodeError::of)
    }
}

impl Json {
    /// All of `bytes`, or nothing.
    fn parse(bytes: &[u8]) -> Result<Tree<'_>, CodeError> {
        let mut deserializer = serde_json::Deserializer::from_slice(bytes);
        let tree = Tree::deserialize(&mut deserializer).map_err(CodeError::of)?;
        match deserializer.end() {
            Ok(()) => Ok(tree),
            Err(_) => Err(CodeError::Trailing),
        }
    }
}

/// Stored bytes, ready to be read as some type.
pub(super) enum Source<'de> {
    #[cfg_attr(
        not(any(feature = "bincode", feature = "postcard")),
        expect(dead_code, reason = "every codec of this build writes names")
    )]
    Positional(Positional<'de>),
    /// With whether the format is for people to read.
    Named(Tree<'de>, bool),
}

pub(super) fn open(bytes: &[u8], codec: Codec) -> Result<Source<'_>, CodeError> {
    match codec {
        #[cfg(feature = "bincode")]
        Codec::Bincode => Ok(Source::Positional(Positional::new(bytes, crate::codec::positional::By::Bincode))),
        #[cfg(feature = "postcard")]
        Codec::Postcard => Ok(Source::Positional(Positional::new(bytes, crate::codec::positional::By::Postcard))),
        #[cfg(feature = "msgpack")]
        Codec::MessagePack => Ok(Source::Named(MessagePack::parse(bytes)?, false)),
        Codec::Json => Ok(Source::Named(Json::parse(bytes)?, true)),
    }
}
