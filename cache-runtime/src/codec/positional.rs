//! Bytes without names: what comes next follows from the type that is read.

use serde::de::DeserializeOwned;

use crate::codec::reader::Malformed;

/// How deep values may be nested. [`walk`](crate::schema::walk) stores nothing beyond half of it, so only damage is.
const DEPTH: u16 = 256;

/// Elements that take no bytes; more of them are damage.
const EMPTY_ELEMENTS: usize = 1 << 16;

/// What one number or text may claim in `bincode`; how much there is of either follows from the bytes that are there.
#[cfg(feature = "bincode")]
const CLAIM: usize = 64 << 20;

/// What is still to be read.
pub(super) struct Positional<'de> {
    rest: &'de [u8],
    by: By,
    depth: u16,
}

/// The codecs without names.
#[derive(Clone, Copy, Debug)]
pub(super) enum By {
    #[cfg(feature = "bincode")]
    Bincode,
    #[cfg(feature = "postcard")]
    Postcard,
}

/// What both of them read by themselves.
macro_rules! primitive {
    ($($name:ident),+) => {
        #[cfg(feature = "bincode")]
        pub(super) trait Primitive: DeserializeOwned + bincode::Decode<()> {}
        #[cfg(not(feature = "bincode"))]
        pub(super) trait Primitive: DeserializeOwned {}
        $(impl Primitive for $name {})+
    };
}

primitive!(bool, u8, u16, u32, u64, u128, i8, i16, i32, i64, i128, f32, f64, char);

impl<'de> Positional<'de> {
    pub(super) fn new(bytes: &'de [u8], by: By) -> Self {
        Self { rest: bytes, by, depth: 0 }
    }

    pub(super) fn is_done(&self) -> bool {
        self.rest.is_empty()
    }

    /// One level down; as many [`leave`](Self::leave) follow.
    pub(super) fn enter(&mut self) -> Result<(), Malformed> {
        self.depth += 1;
        if self.depth > DEPTH { Err(Malformed::of("nested too deep")) } else { Ok(()) }
    }

    pub(super) fn leave(&mut self) {
        self.depth -= 1;
    }

    pub(super) fn take<T: Primitive>(&mut self) -> Result<T, Malformed> {
        let (value, rest) = match self.by {
            #[cfg(feature = "bincode")]
            By::Bincode => {
                let config = bincode::config::standard().with_limit::<CLAIM>();
                let (value, read) = bincode::decode_from_slice(self.rest, config).map_err(Malformed::of)?;
                (value, self.rest.get(read..).unwrap_or_default())
            }
            #[cfg(feature = "postcard")]
            By::Postcard => postcard::take_from_bytes(self.rest).map_err(Malformed::of)?,
        };
        self.rest = rest;
        Ok(value)
    }

    /// How many elements or entries follow.
    pub(super) fn length(&mut self) -> Result<usize, Malformed> {
        let length = usize::try_from(self.take::<u64>()?).unwrap_or(usize::MAX);
        // An element takes a byte at least, or none of them does.
        if length > self.rest.len().max(EMPTY_ELEMENTS) { Err(Malformed::of("too long")) } else { Ok(length) }
    }

    pub(super) fn bytes(&mut self) -> Result<&'de [u8], Malformed> {
        let length = usize::try_from(self.take::<u64>()?).unwrap_or(usize::MAX);
        let (bytes, rest) = self.rest.split_at_checked(length).ok_or_else(|| Malformed::of("too short"))?;
        self.rest = rest;
        Ok(bytes)
    }

    pub(super) fn text(&mut self) -> Result<&'de str, Malformed> {
        std::str::from_utf8(self.bytes()?).map_err(Malformed::of)
    }

    /// Whether an option holds something.
    pub(super) fn is_some(&mut self) -> Result<bool, Malformed> {
        match self.take::<u8>()? {
            0 => Ok(false),
            1 => Ok(true),
            _ => Err(Malformed::of("neither none nor some")),
        }
    }
}
