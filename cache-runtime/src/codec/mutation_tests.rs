//! Stored entries with bytes changed: each is refused or gives the very value. A hundred thousand by default;
//! `CACHE_MUTATIONS=1000000` asks for more.

use std::ops::Range;

use serde_json::Value;

use crate::codec::samples::{Sample, samples};
use crate::codec::{CodeError, Codec};
use crate::envelope::{Damage, Envelope, Place, Sealed, Settings, Times, seal};
use crate::shape::Kept;
use crate::store::{HEAD, Stamp, Token, VALUE_HEAD};

/// Every type has a key of its own: no entry belongs in another's place.
fn key_of(sample: &Sample) -> String {
    format!("shop:v1:{}:42:7", sample.name)
}

const MOST: usize = 1 << 20;

/// Bytes of the slot that scripts rewrite in place: whether somebody waits, until when somebody refreshes.
const REWRITTEN: [Range<usize>; 2] = [1..2, HEAD..VALUE_HEAD];

fn mutations() -> usize {
    let asked = std::env::var("CACHE_MUTATIONS").ok().and_then(|number| number.parse().ok());
    asked.unwrap_or(100_000)
}

/// Every sample by every codec, plain and compressed, in its slot.
fn corpus(samples: &[Sample]) -> Vec<(&Sample, Vec<u8>)> {
    let mut slots = Vec::new();
    for sample in samples {
        for &codec in Codec::FALLBACKS {
            for compress_over in [None, Some(0)] {
                let encoded = sample.coder.encode(&sample.kept, codec).expect("every codec carries the samples");
                let settings = Settings { compress_over, max_value: MOST };
                let place = Place { key: &key_of(sample), token: Token([7; 16]) };
                let stamps = vec![Stamp([9; 16]); slots.len() % 3];
                match seal(&settings, &encoded, Times::default(), &stamps, place) {
                    Sealed::Bytes(slot) => slots.push((sample, slot)),
                    Sealed::TooLarge(bytes) => panic!("{bytes} bytes are not many"),
                }
            }
        }
    }
    slots
}

/// What a read makes of a slot: the value, if there is one.
fn read(sample: &Sample, key: &str, slot: &[u8]) -> Result<Result<Kept, CodeError>, Damage> {
    let opened = Envelope::read(key, slot, MOST)?;
    let decoded = sample.coder.decode(&opened.payload, opened.envelope.codec, opened.envelope.digest);
    Ok(decoded.map(|decoded| decoded.kept))
}

/// One to three changes.
fn mutate(dice: &mut fastrand::Rng, slot: &mut Vec<u8>, others: &[(&Sample, Vec<u8>)]) {
    for _ in 0..dice.usize(1..=3) {
        mutate_once(dice, slot, others);
    }
}

fn mutate_once(dice: &mut fastrand::Rng, slot: &mut Vec<u8>, others: &[(&Sample, Vec<u8>)]) {
    let at = dice.usize(0..=slot.len().saturating_sub(1));
    match dice.u8(0..8) {
        _ if slot.is_empty() => slot.push(dice.u8(..)),
        0 | 1 => slot[at] ^= 1 << dice.u8(0..8),
        2 => slot[at] = dice.u8(..),
        3 => slot[at] = *dice.choice(&[0, 1, 0x7F, 0x80, 0xFB, 0xFC, 0xFD, 0xFF]).expect("there are some"),
        4 => slot.truncate(at),
        5 => slot.insert(at, dice.u8(..)),
        6 => {
            let end = dice.usize(at..=slot.len());
            slot.drain(at..end);
        }
        _ => {
            let (_, other) = dice.choice(others).expect("there are some");
            let tail = dice.usize(0..=other.len());
            slot.truncate(at);
            slot.extend_from_slice(&other[tail..]);
        }
    }
}

/// The bytes that a value's identity hangs on.
fn covered(slot: &[u8]) -> Vec<u8> {
    let is_covered = |at: &usize| !REWRITTEN.iter().any(|range| range.contains(at));
    (0..slot.len()).filter(is_covered).map(|at| slot[at]).collect()
}

#[test]
fn changed_entries_are_refused() {
    let samples = samples();
    let corpus = corpus(&samples);
    let mut dice = fastrand::Rng::with_seed(0x5EED);
    for _ in 0..mutations() {
        let (sample, slot) = dice.choice(&corpus).expect("there are some");
        let mut changed = slot.clone();
        mutate(&mut dice, &mut changed, &corpus);
        if let Ok(Ok(kept)) = read(sample, &key_of(sample), &changed) {
            assert!((sample.is_equal)(&kept), "another value of {}", sample.name);
            // A splice can make another entry of the corpus out of this one: the same value by another codec.
            let changed = covered(&changed);
            assert!(corpus.iter().any(|(_, slot)| covered(slot) == changed), "changed bytes of {} pass", sample.name);
        }
    }
}

/// As if the damage had passed the checksum, or a stranger had sealed it: the codec and the digest are alone with it.
/// What they cannot see is that elements of a sequence changed places.
#[test]
fn changed_payloads_under_a_good_checksum_are_refused() {
    let samples = samples();
    let corpus = corpus(&samples);
    let mut dice = fastrand::Rng::with_seed(0xBAD);
    for _ in 0..mutations() {
        let sample = dice.choice(&samples).expect("there are some");
        let codec = *dice.choice(Codec::FALLBACKS).expect("there are some");
        let mut encoded = sample.coder.encode(&sample.kept, codec).expect("every codec carries the samples");
        mutate(&mut dice, &mut encoded.payload, &corpus);
        if let Ok(decoded) = sample.coder.decode(&encoded.payload, codec, encoded.digest) {
            let is_equal =
                (sample.is_equal)(&decoded.kept) || sorted(sample, &decoded.kept) == sorted(sample, &sample.kept);
            assert!(is_equal, "another value of {} by {codec}", sample.name);
        }
    }
}

/// The value as JSON, its sequences in order.
fn sorted(sample: &Sample, kept: &Kept) -> Value {
    let encoded = sample.coder.encode(kept, Codec::Json).expect("every codec carries the samples");
    let mut json = serde_json::from_slice(&encoded.payload).expect("it is JSON");
    sort(&mut json);
    json
}

fn sort(json: &mut Value) {
    match json {
        Value::Array(elements) => {
            elements.iter_mut().for_each(sort);
            elements.sort_by_cached_key(Value::to_string);
        }
        Value::Object(entries) => entries.values_mut().for_each(sort),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

#[test]
fn the_value_of_another_key_is_refused() {
    let samples = samples();
    for (sample, slot) in corpus(&samples) {
        assert!(matches!(read(sample, &key_of(sample), &slot), Ok(Ok(kept)) if (sample.is_equal)(&kept)));
        let key = key_of(sample);
        for other in
            [key.replace(":7", ":8"), key.replace("42", "43"), key.replace("v1", "v2"), key.replace("sh", "po")]
        {
            assert_eq!(read(sample, &other, &slot).err(), Some(Damage::Checksum));
        }
    }
}

#[test]
fn every_truncation_is_refused() {
    let samples = samples();
    for (sample, slot) in corpus(&samples) {
        for length in 0..slot.len() {
            assert!(read(sample, &key_of(sample), &slot[..length]).is_err());
        }
    }
}
