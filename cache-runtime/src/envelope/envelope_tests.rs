//! What is written is read; what is not is refused for the right reason. Damage at random: `codec::mutation_tests`.

use std::borrow::Cow;
use std::time::Duration;

use crate::codec::{Codec, Encoded};
use crate::envelope::{Damage, Envelope, OVERHEAD, Opened, Place, Sealed, Settings, Times, checksum, seal};
use crate::store::{Stamp, Token, VALUE_HEAD};

const KEY: &str = "shop:v1:user:7";
const PLACE: Place<'static> = Place { key: KEY, token: Token([5; 16]) };
const TIMES: Times = Times {
    stored_at: 1_790_000_000_123,
    soft: Duration::from_millis(299_999),
    hard: Duration::from_hours(8_760),
    load: Duration::from_micros(1_234),
};

fn envelope() -> Envelope {
    Envelope { codec: Codec::Json, absent: false, digest: 0x0123_4567_89AB_CDEF, times: TIMES }
}

fn slot() -> Vec<u8> {
    envelope().write(PLACE, &[Stamp([1; 16]), Stamp([2; 16])], b"payload", None)
}

/// Seals a slot again after its bytes were changed.
fn resealed(change: impl FnOnce(&mut Vec<u8>)) -> Vec<u8> {
    let mut slot = slot();
    change(&mut slot);
    let checksum = checksum(PLACE, &slot[super::CHECKED..]);
    slot[super::CHECKED - 8..super::CHECKED].copy_from_slice(&checksum.to_be_bytes());
    slot
}

#[track_caller]
fn check(slot: &[u8], expected: Damage) {
    assert_eq!(Envelope::read(KEY, slot, 1_000), Err(expected));
}

#[test]
fn what_is_written_is_read() {
    let slot = slot();
    let opened = Envelope::read(KEY, &slot, 1_000).expect("it was just written");
    assert_eq!(opened.envelope, envelope());
    assert_eq!(opened.token, PLACE.token);
    assert_eq!(opened.refreshed_until, 0);
    assert_eq!(opened.stamps.iter().collect::<Vec<_>>(), [Stamp([1; 16]), Stamp([2; 16])]);
    assert!(matches!(opened.payload, Cow::Borrowed(b"payload")));
    assert_eq!(slot.len(), OVERHEAD + 2 * 16 + 7);
    assert_eq!(&slot[..2], b"V0");
}

#[test]
fn absence_is_a_flag() {
    let slot = Envelope { absent: true, ..envelope() }.write(PLACE, &[], b"null", None);
    let Opened { envelope, .. } = Envelope::read(KEY, &slot, 1_000).expect("it was just written");
    assert!(envelope.absent);
}

#[test]
fn times_beyond_their_fields_are_cut() {
    let times = Times { stored_at: u64::MAX, soft: Duration::MAX, hard: Duration::MAX, load: Duration::MAX };
    let slot = Envelope { times, ..envelope() }.write(PLACE, &[], b"", None);
    let opened = Envelope::read(KEY, &slot, 1_000).expect("it was just written").envelope.times;
    assert_eq!(opened.stored_at, (1 << 48) - 1);
    assert_eq!(opened.soft, Duration::from_millis((1 << 48) - 1));
    assert_eq!(opened.load, Duration::from_micros(u32::MAX.into()));
}

#[test]
fn stamps_are_equal_only_if_none_is_missing() {
    let slot = slot();
    let stamps = Envelope::read(KEY, &slot, 1_000).expect("it was just written").stamps;
    let (one, two) = (Some(Stamp([1; 16])), Some(Stamp([2; 16])));
    assert!(stamps.are(&[one, two]));
    assert!(!stamps.are(&[two, one]));
    assert!(!stamps.are(&[one, None]));
    assert!(!stamps.are(&[one]));
    assert!(!stamps.are(&[one, two, two]));
    assert!(!stamps.are(&[]));
}

#[test]
fn what_a_script_rewrites_is_not_covered() {
    let mut slot = slot();
    slot[1] = b'1';
    slot[18..VALUE_HEAD].copy_from_slice(&77_u64.to_be_bytes());
    assert_eq!(Envelope::read(KEY, &slot, 1_000).expect("that may change").refreshed_until, 77);
}

#[test]
fn what_was_not_written_is_refused_for_its_reason() {
    check(b"", Damage::TooShort);
    check(b"V0", Damage::TooShort);
    check(&[0; 200], Damage::Magic);
    check(b"L0tokentokentoken!and more of what is not a value at all", Damage::Magic);
    check(&resealed(|slot| slot[28] = 9), Damage::Format(9));
    check(&resealed(|slot| slot[37] = 200), Damage::Codec(200));
    check(&resealed(|slot| slot[38] = 128), Damage::Format(1));
    check(&resealed(|slot| slot[39] = 1), Damage::TooShort);
    check(&resealed(|slot| slot.truncate(50)), Damage::TooShort);
    let mut slot = slot();
    slot[3] ^= 1;
    check(&slot, Damage::Checksum);
}

fn encoded(payload: Vec<u8>) -> Encoded {
    Encoded { codec: Codec::Json, payload, digest: 1, absent: false }
}

#[track_caller]
fn sealed(compress_over: Option<usize>, payload: &[u8]) -> Vec<u8> {
    let settings = Settings { compress_over, max_value: 10_000 };
    match seal(&settings, &encoded(payload.to_vec()), TIMES, &[Stamp([3; 16])], PLACE) {
        Sealed::Bytes(slot) => slot,
        Sealed::TooLarge(bytes) => panic!("{bytes} bytes are not too many"),
    }
}

#[test]
fn what_is_compressed_comes_back() {
    let payload = b"the same again and again, ".repeat(100);
    let slot = sealed(Some(1_000), &payload);
    assert!(slot.len() < 300);
    let opened = Envelope::read(KEY, &slot, payload.len()).expect("it was just sealed");
    assert_eq!(opened.payload, payload);
    assert_eq!(opened.stamps.iter().collect::<Vec<_>>(), [Stamp([3; 16])]);
    assert_eq!(Envelope::read(KEY, &slot, payload.len() - 1), Err(Damage::TooLarge(payload.len())));
}

#[test]
fn what_is_small_or_does_not_shrink_is_not_compressed() {
    let mut dice = fastrand::Rng::with_seed(1);
    let noise: Vec<u8> = (0..5_000).map(|_| dice.u8(..)).collect();
    for (compress_over, payload) in [(None, &noise), (Some(5_000), &noise), (Some(100), &noise)] {
        assert_eq!(sealed(compress_over, payload).len(), OVERHEAD + 16 + noise.len());
    }
}

#[test]
fn what_is_too_large_is_neither_written_nor_read() {
    let settings = Settings { compress_over: Some(0), max_value: 99 };
    assert_eq!(seal(&settings, &encoded(vec![0; 100]), TIMES, &[], PLACE), Sealed::TooLarge(100));
    let slot = envelope().write(PLACE, &[], &[0; 100], None);
    assert_eq!(Envelope::read(KEY, &slot, 99), Err(Damage::TooLarge(100)));
}

#[test]
fn a_length_that_no_compression_reaches_is_not_allocated() {
    let payload = b"the same again and again, ".repeat(100);
    let mut slot = sealed(Some(0), &payload);
    // Where the length before compression stands.
    slot[OVERHEAD..OVERHEAD + 4].copy_from_slice(&u32::MAX.to_be_bytes());
    let checksum = checksum(PLACE, &slot[super::CHECKED..]);
    slot[super::CHECKED - 8..super::CHECKED].copy_from_slice(&checksum.to_be_bytes());
    assert_eq!(Envelope::read(KEY, &slot, usize::MAX), Err(Damage::Compression));
    assert_eq!(Envelope::read(KEY, &slot, 10_000), Err(Damage::TooLarge(u32::MAX as usize)));
}
