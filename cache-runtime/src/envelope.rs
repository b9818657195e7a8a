//! The bytes of a stored value: what stands in its slot behind the header, and how they are told from anything else.
//!
//! | bytes of the slot | what |
//! |---|---|
//! | 0 | kind, `V` |
//! | 1 | `1` if somebody waits; never for a value |
//! | 2..18 | the token of the lease that became this value: its etag |
//! | 18..26 | end of the refresh lease, milliseconds of the server's clock; rewritten in place |
//! | 26..28 | magic |
//! | 28 | format |
//! | 29..37 | checksum |
//! | 37 | codec |
//! | 38 | flags: 1 absent, 2 compressed |
//! | 39..41 | number of group stamps |
//! | 41..45 | how long the load took, microseconds |
//! | 45..53 | digest of the value |
//! | 53..59 | stored at, milliseconds of the server's clock |
//! | 59..65 | soft lifetime, milliseconds |
//! | 65..71 | hard lifetime, milliseconds |
//! | 71..75 | length before compression, only if compressed |
//! | 16 each | group stamps |
//! | the rest | payload |
//!
//! Numbers are big endian. The checksum covers everything behind it, the token, and the full entry key: a value that
//! was copied to another key, tenant or version is refused like a damaged one, without a byte for the key in each entry.
//! It does not cover what scripts rewrite in place. Random damage passes it once in 2^64; it is no signature, and
//! whoever can write to the server can write values.

mod seal;

use std::borrow::Cow;
use std::time::Duration;

use xxhash_rust::xxh3::xxh3_64;

use crate::codec::Codec;
pub(crate) use crate::envelope::seal::{Sealed, Settings, seal};
use crate::store::{HEAD, Stamp, Token, VALUE_HEAD};

const MAGIC: [u8; 2] = [0xCA, 0xC4];
const FORMAT: u8 = 1;

/// Where the checksum ends, and what it covers begins.
const CHECKED: usize = VALUE_HEAD + 11;

/// Length of everything in front of the stamps, if nothing is compressed.
pub(crate) const OVERHEAD: usize = CHECKED + 34;

const ABSENT: u8 = 1;
const COMPRESSED: u8 = 2;

/// What LZ4 makes of a byte at most.
const RATIO: usize = 255;

/// What is known of a stored value, besides the value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Envelope {
    pub(crate) codec: Codec,
    /// The value is `None`.
    pub(crate) absent: bool,
    /// See [`schema`](crate::schema).
    pub(crate) digest: u64,
    pub(crate) times: Times,
}

/// When a value was stored and how long it is good for, to the millisecond.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Times {
    /// Milliseconds of the server's clock.
    pub(crate) stored_at: u64,
    /// It is fresh for so long.
    pub(crate) soft: Duration,
    /// It may be served stale for so long, where that is allowed; both from `stored_at`.
    pub(crate) hard: Duration,
    /// How long the load took, to the microsecond; over an hour and eleven minutes is as good as that.
    pub(crate) load: Duration,
}

/// A value's place.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Place<'a> {
    /// The full key.
    pub(crate) key: &'a str,
    pub(crate) token: Token,
}

/// A stored value, opened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Opened<'a> {
    pub(crate) envelope: Envelope,
    /// Its etag.
    pub(crate) token: Token,
    /// Until when somebody refreshes it, milliseconds of the server's clock; 0 if nobody does.
    pub(crate) refreshed_until: u64,
    pub(crate) stamps: Stamps<'a>,
    pub(crate) payload: Cow<'a, [u8]>,
}

/// The stamps of the groups a value belongs to, as they were before its load.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Stamps<'a>(&'a [[u8; 16]]);

impl Stamps<'_> {
    pub(crate) fn iter(&self) -> impl ExactSizeIterator<Item = Stamp> {
        self.0.iter().map(|bytes| Stamp(*bytes))
    }

    /// Whether they are these, none of which may be missing.
    pub(crate) fn are(&self, current: &[Option<Stamp>]) -> bool {
        self.0.len() == current.len() && self.iter().zip(current).all(|(own, current)| Some(own) == *current)
    }
}

/// Why bytes are not a value of ours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Damage {
    /// They end before they should.
    TooShort,
    /// No value, or not of this project.
    Magic,
    /// Of a version of this project that does things otherwise.
    Format(u8),
    /// Not what was written at this key.
    Checksum,
    /// A codec that this build does not know.
    Codec(u8),
    /// What was compressed does not decompress.
    Compression,
    /// Larger than this cache accepts.
    TooLarge(usize),
}

impl Damage {
    /// A short word for metrics and logs.
    pub(crate) fn kind(self) -> &'static str {
        match self {
            Self::TooShort => "too_short",
            Self::Magic => "magic",
            Self::Format(_) => "format",
            Self::Checksum => "checksum",
            Self::Codec(_) => "codec",
            Self::Compression => "compression",
            Self::TooLarge(_) => "too_large",
        }
    }
}

impl Envelope {
    /// The whole slot. `original` is the length of the payload before it was compressed, if it was.
    fn write(&self, place: Place<'_>, stamps: &[Stamp], payload: &[u8], original: Option<u32>) -> Vec<u8> {
        let count = u16::try_from(stamps.len()).expect("a function names each of its groups in its attribute");
        let flags = if self.absent { ABSENT } else { 0 } | if original.is_some() { COMPRESSED } else { 0 };
        let mut slot = Vec::with_capacity(OVERHEAD + 4 + 16 * stamps.len() + payload.len());
        slot.extend_from_slice(b"V0");
        slot.extend_from_slice(&place.token.0);
        slot.extend_from_slice(&[0; VALUE_HEAD - HEAD]);
        slot.extend_from_slice(&MAGIC);
        slot.push(FORMAT);
        slot.extend_from_slice(&[0; 8]);
        slot.extend_from_slice(&[self.codec.id(), flags]);
        slot.extend_from_slice(&count.to_be_bytes());
        slot.extend_from_slice(&u32::try_from(self.times.load.as_micros()).unwrap_or(u32::MAX).to_be_bytes());
        slot.extend_from_slice(&self.digest.to_be_bytes());
        slot.extend_from_slice(&six(self.times.stored_at));
        slot.extend_from_slice(&six(millis(self.times.soft)));
        slot.extend_from_slice(&six(millis(self.times.hard)));
        slot.extend_from_slice(original.map(u32::to_be_bytes).as_ref().map_or(&[], <[u8; 4]>::as_slice));
        for stamp in stamps {
            slot.extend_from_slice(&stamp.0);
        }
        slot.extend_from_slice(payload);
        let checksum = checksum(place, &slot[CHECKED..]);
        slot[CHECKED - 8..CHECKED].copy_from_slice(&checksum.to_be_bytes());
        slot
    }

    /// What stands in a slot. A payload of more than `most` bytes is refused.
    ///
    /// # Errors
    ///
    /// What is wrong with the bytes.
    pub(crate) fn read<'a>(key: &str, slot: &'a [u8], most: usize) -> Result<Opened<'a>, Damage> {
        let (token, refreshed_until, covered) = checked(key, slot)?;
        let mut rest = Rest(covered);
        let [codec, flags] = rest.array()?;
        let count = u16::from_be_bytes(rest.array()?);
        let load = Duration::from_micros(u32::from_be_bytes(rest.array()?).into());
        let digest = u64::from_be_bytes(rest.array()?);
        let stored_at = rest.six()?;
        let (soft, hard) = (Duration::from_millis(rest.six()?), Duration::from_millis(rest.six()?));
        let original = if flags & COMPRESSED == 0 { None } else { Some(u32::from_be_bytes(rest.array()?)) };
        let stamps = Stamps(rest.stamps(count.into())?);
        if flags & !(ABSENT | COMPRESSED) != 0 {
            return Err(Damage::Format(FORMAT));
        }
        let codec = Codec::of_id(codec).ok_or(Damage::Codec(codec))?;
        let times = Times { stored_at, soft, hard, load };
        let payload = unpacked(rest.0, original, most)?;
        let envelope = Self { codec, absent: flags & ABSENT != 0, digest, times };
        Ok(Opened { envelope, token, refreshed_until, stamps, payload })
    }
}

/// The bytes behind the checksum, if it is theirs; in front of them the token and the end of the refresh lease.
fn checked<'a>(key: &str, slot: &'a [u8]) -> Result<(Token, u64, &'a [u8]), Damage> {
    let mut rest = Rest(slot);
    let [kind, _waiters] = rest.array()?;
    let token = Token(rest.array()?);
    let refreshed_until = u64::from_be_bytes(rest.array()?);
    let magic = rest.array()?;
    let [format] = rest.array()?;
    match (kind, magic, format) {
        (b'V', MAGIC, FORMAT) => {}
        (b'V', MAGIC, other) => return Err(Damage::Format(other)),
        _ => return Err(Damage::Magic),
    }
    let stored = u64::from_be_bytes(rest.array()?);
    if stored == checksum(Place { key, token }, rest.0) {
        Ok((token, refreshed_until, rest.0))
    } else {
        Err(Damage::Checksum)
    }
}

/// Over bytes and the place they belong to. Each part is hashed by itself: a stream would cost more than short keys do.
fn checksum(place: Place<'_>, bytes: &[u8]) -> u64 {
    let mut parts = [0; 32];
    parts[..8].copy_from_slice(&xxh3_64(place.key.as_bytes()).to_be_bytes());
    parts[8..16].copy_from_slice(&xxh3_64(bytes).to_be_bytes());
    parts[16..].copy_from_slice(&place.token.0);
    xxh3_64(&parts)
}

/// These bytes with everything set right that tells a value from anything else.
#[cfg(any(test, fuzzing))]
pub(crate) fn resealed(key: &str, bytes: &[u8]) -> Vec<u8> {
    let mut slot = bytes.to_vec();
    slot.resize(slot.len().max(OVERHEAD), 0);
    slot[..2].copy_from_slice(b"V0");
    slot[VALUE_HEAD..VALUE_HEAD + 3].copy_from_slice(&[MAGIC[0], MAGIC[1], FORMAT]);
    let token = Token(slot[2..HEAD].try_into().expect("sixteen bytes"));
    let checksum = checksum(Place { key, token }, &slot[CHECKED..]);
    slot[CHECKED - 8..CHECKED].copy_from_slice(&checksum.to_be_bytes());
    slot
}

/// The payload as it was before compression.
fn unpacked(bytes: &[u8], original: Option<u32>, most: usize) -> Result<Cow<'_, [u8]>, Damage> {
    let length = original.map_or(bytes.len(), |length| usize::try_from(length).unwrap_or(usize::MAX));
    if length > most {
        return Err(Damage::TooLarge(length));
    }
    if original.is_none() {
        return Ok(Cow::Borrowed(bytes));
    }
    if length > bytes.len().saturating_mul(RATIO) {
        return Err(Damage::Compression);
    }
    let mut payload = vec![0; length];
    match lz4_flex::block::decompress_into(bytes, &mut payload) {
        Ok(written) if written == length => Ok(Cow::Owned(payload)),
        Ok(_) | Err(_) => Err(Damage::Compression),
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

/// A number in six bytes: milliseconds for 8,900 years.
fn six(number: u64) -> [u8; 6] {
    let [_, _, bytes @ ..] = number.min((1 << 48) - 1).to_be_bytes();
    bytes
}

/// What is still to be read.
struct Rest<'a>(&'a [u8]);

impl<'a> Rest<'a> {
    fn array<const N: usize>(&mut self) -> Result<[u8; N], Damage> {
        let (array, rest) = self.0.split_first_chunk().ok_or(Damage::TooShort)?;
        self.0 = rest;
        Ok(*array)
    }

    fn six(&mut self) -> Result<u64, Damage> {
        let mut bytes = [0; 8];
        bytes[2..].copy_from_slice(&self.array::<6>()?);
        Ok(u64::from_be_bytes(bytes))
    }

    fn stamps(&mut self, count: usize) -> Result<&'a [[u8; 16]], Damage> {
        let (stamps, rest) = self.0.split_at_checked(16 * count).ok_or(Damage::TooShort)?;
        self.0 = rest;
        Ok(stamps.as_chunks().0)
    }
}

#[cfg(test)]
mod envelope_tests;
