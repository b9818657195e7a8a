//! The formats themselves. One trait, so that what differs between them stands in one place.

use serde::de::DeserializeOwned;

use crate::codec::{CodeError, Codec};

/// One format.
pub(super) trait Format {
    /// Stands in stored values: never reuse one.
    const ID: u8;
    const NAME: &'static str;
    const IS_POSITIONAL: bool;

    fn encode(value: &dyn erased_serde::Serialize) -> Result<Vec<u8>, CodeError>;

    /// All of `bytes`, or nothing.
    fn decode<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, CodeError>;
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

/// `bincode` 2, always with a limit: without one, a single damaged length aborts the process.
#[cfg(feature = "bincode")]
pub(super) struct Bincode;

/// What decoding one value may claim. The limit is part of bincode's types and counts numbers at their full width, so a
/// value can need more than its own bytes; a value that claims more is found out when it is stored (see
/// [`choice`](super::choice)).
#[cfg(feature = "bincode")]
const CLAIM: usize = 64 << 20;

#[cfg(feature = "bincode")]
impl Format for Bincode {
    const ID: u8 = 1;
    const NAME: &'static str = "bincode";
    const IS_POSITIONAL: bool = true;

    fn encode(value: &dyn erased_serde::Serialize) -> Result<Vec<u8>, CodeError> {
        bincode::serde::encode_to_vec(value, bincode::config::standard()).map_err(CodeError::of)
    }

    fn decode<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, CodeError> {
        let limited = bincode::config::standard().with_limit::<CLAIM>();
        match bincode::serde::decode_from_slice(bytes, limited) {
            Ok((value, read)) if read == bytes.len() => Ok(value),
            Ok(_) => Err(CodeError::Trailing),
            Err(error) => Err(CodeError::of(error)),
        }
    }
}

/// `postcard`, which never allocates more than it has bytes for.
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

    fn decode<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, CodeError> {
        let mut deserializer = postcard::Deserializer::from_bytes(bytes);
        let value = T::deserialize(&mut deserializer).map_err(CodeError::of)?;
        match deserializer.finalize() {
            Ok([]) => Ok(value),
            Ok(_) | Err(_) => Err(CodeError::Trailing),
        }
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

    fn decode<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, CodeError> {
        let mut deserializer = rmp_serde::Deserializer::new(bytes);
        deserializer.set_max_depth(DEPTH);
        let value = T::deserialize(&mut deserializer).map_err(CodeError::of)?;
        if deserializer.get_ref().is_empty() { Ok(value) } else { Err(CodeError::Trailing) }
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

    fn decode<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, CodeError> {
        let mut deserializer = serde_json::Deserializer::from_slice(bytes);
        let value = T::deserialize(&mut deserializer).map_err(CodeError::of)?;
        match deserializer.end() {
            Ok(()) => Ok(value),
            Err(_) => Err(CodeError::Trailing),
        }
    }
}
