//! From an encoded value to the bytes of its slot.

use crate::codec::Encoded;
use crate::envelope::{Envelope, Place, Times};
use crate::store::Stamp;

/// What a cache stores and how.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Settings {
    /// Payloads of more than so many bytes are compressed; none without it.
    pub(crate) compress_over: Option<usize>,
    /// Payloads of more than so many bytes, compressed or not, are not stored and not accepted.
    pub(crate) max_value: usize,
}

/// A value, ready to be sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Sealed {
    /// The whole slot.
    Bytes(Vec<u8>),
    /// So many bytes are more than are stored.
    TooLarge(usize),
}

/// The slot of a value.
pub(crate) fn seal(settings: &Settings, encoded: &Encoded, times: Times, stamps: &[Stamp], place: Place<'_>) -> Sealed {
    let Encoded { codec, payload, digest, absent } = encoded;
    if payload.len() > settings.max_value {
        return Sealed::TooLarge(payload.len());
    }
    let envelope = Envelope { codec: *codec, absent: *absent, digest: *digest, times };
    let slot = match packed(settings, payload) {
        Some((smaller, original)) => envelope.write(place, stamps, &smaller, Some(original)),
        None => envelope.write(place, stamps, payload, None),
    };
    Sealed::Bytes(slot)
}

/// The payload compressed and its length before, where that is wanted and helps.
fn packed(settings: &Settings, payload: &[u8]) -> Option<(Vec<u8>, u32)> {
    settings.compress_over.filter(|threshold| payload.len() > *threshold)?;
    let original = u32::try_from(payload.len()).ok()?;
    let smaller = lz4_flex::block::compress(payload);
    (smaller.len() + 4 < payload.len()).then_some((smaller, original))
}
