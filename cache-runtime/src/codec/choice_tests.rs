//! What is tried before it is stored, and what happens to what does not come back.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use serde::{Deserialize, Serialize};

use crate::codec::samples::{coder, coder_of_arc, coder_of_option, nested, samples, user};
use crate::codec::{CodeError, Codec, CodecChoice, Coder, Encoded};
use crate::shape::{Kept, Value};
use crate::warnings::Warnings;

#[track_caller]
fn round_trip(coder: &Coder, encoded: &Encoded) -> Kept {
    coder.decode(&encoded.payload, encoded.codec, encoded.digest).expect("what is stored comes back").kept
}

/// Stores a value as a function's first one and gives what comes back, if it is stored at all.
#[track_caller]
fn stored<T: Value + PartialEq + std::fmt::Debug>(value: &T, preferred: Codec) -> Option<Codec> {
    let kept: Kept = Arc::new(value.clone());
    let encoded = CodecChoice::default().encode("test", &coder::<T>(), &kept, preferred)?;
    let back = round_trip(&coder::<T>(), &encoded);
    assert_eq!(back.downcast_ref::<T>(), Some(value));
    Some(encoded.codec)
}

/// The value is stored by a codec with names (or by any that can, if there is no such), whatever was preferred.
#[track_caller]
fn falls_back<T: Value + PartialEq + std::fmt::Debug>(value: &T) {
    for &preferred in Codec::FALLBACKS {
        let codec = stored(value, preferred).expect("some codec carries it");
        assert!(!codec.is_positional(), "{preferred} fell back to {codec}");
        assert!(codec == preferred || preferred.is_positional(), "{preferred} would have done");
    }
}

#[test]
fn samples_survive_every_codec() {
    for &codec in Codec::FALLBACKS {
        for sample in samples() {
            let encoded = sample.coder.encode(&sample.kept, codec).expect(sample.name);
            let back = round_trip(&sample.coder, &encoded);
            assert!((sample.is_equal)(&back), "{} by {codec}", sample.name);
        }
    }
}

#[test]
fn an_arc_is_kept_without_another_one_around_it() {
    let kept: Kept = Arc::new(user());
    for &codec in Codec::FALLBACKS {
        let encoded = coder_of_arc::<crate::codec::samples::User>().encode(&kept, codec).expect("it is a plain type");
        let back = round_trip(&coder_of_arc::<crate::codec::samples::User>(), &encoded);
        assert_eq!(back.downcast_ref(), Some(&user()));
        // Whether a function returns an `Arc` or the value makes no difference to what is stored.
        let plain = coder::<crate::codec::samples::User>().encode(&kept, codec).expect("as above");
        assert_eq!(encoded, plain);
    }
}

#[test]
fn absence_is_told_without_the_type() {
    let coder = coder_of_option::<u32>();
    let (none, some): (Kept, Kept) = (Arc::new(None::<u32>), Arc::new(Some(1_u32)));
    for &codec in Codec::FALLBACKS {
        let encoded = coder.encode(&none, codec).expect("plain");
        assert!(encoded.absent);
        assert!(coder.decode(&encoded.payload, codec, encoded.digest).expect("plain").absent);
        assert!(!coder.encode(&some, codec).expect("plain").absent);
    }
}

#[test]
fn a_value_of_another_type_is_no_value() {
    let kept: Kept = Arc::new(1_u8);
    assert_eq!(coder::<u16>().encode(&kept, Codec::DEFAULT), Err(CodeError::ForeignType));
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Flat {
    id: u32,
    #[serde(flatten)]
    rest: HashMap<String, u32>,
}

#[test]
fn flattened_structs_fall_back_to_names() {
    falls_back(&Flat { id: 1, rest: HashMap::from([("a".to_owned(), 2), ("b".to_owned(), 3)]) });
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
enum Untagged {
    Number(u32),
    Text(String),
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind")]
enum Tagged {
    One { number: u32 },
    Two { text: String },
}

#[test]
fn untagged_and_internally_tagged_enums_fall_back_to_names() {
    falls_back(&Untagged::Number(1));
    falls_back(&Untagged::Text("x".to_owned()));
    falls_back(&Tagged::One { number: 1 });
    falls_back(&Tagged::Two { text: "x".to_owned() });
    falls_back(&serde_json::json!({ "a": [1, null, "x"] }));
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Sparse {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    first: Option<u8>,
    second: u32,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    third: Vec<u8>,
}

#[test]
fn fields_that_may_be_left_out_fall_back_when_one_is() {
    let full = Sparse { first: Some(1), second: 2, third: vec![3] };
    assert_eq!(stored(&full, Codec::DEFAULT), Some(Codec::DEFAULT));
    falls_back(&Sparse { first: None, second: 2, third: vec![3] });
    falls_back(&Sparse { first: None, second: 0, third: Vec::new() });
}

#[test]
fn a_function_falls_back_on_a_later_value_too() {
    let (choice, coder) = (CodecChoice::default(), coder::<Sparse>());
    let full: Kept = Arc::new(Sparse { first: Some(1), second: 2, third: vec![3] });
    let sparse: Kept = Arc::new(Sparse { first: None, second: 2, third: vec![3] });
    let codec_of = |kept| choice.encode("test", &coder, kept, Codec::DEFAULT).expect("some codec carries it").codec;
    assert_eq!(codec_of(&full), Codec::DEFAULT);
    let fallback = codec_of(&sparse);
    assert!(!fallback.is_positional());
    assert_eq!(codec_of(&full), fallback, "the function stays with it");
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Sometimes {
    list: Vec<Untagged>,
}

#[test]
fn what_only_fails_sometimes_is_found_by_the_sample() {
    let (choice, coder) = (CodecChoice::default(), coder::<Sometimes>());
    let (empty, filled): (Kept, Kept) =
        (Arc::new(Sometimes { list: Vec::new() }), Arc::new(Sometimes { list: vec![Untagged::Number(1)] }));
    let mut codecs = vec![choice.encode("test", &coder, &empty, Codec::DEFAULT).expect("it is empty").codec];
    for _ in 0..=super::choice::SAMPLE {
        codecs.extend(choice.encode("test", &coder, &filled, Codec::DEFAULT).map(|encoded| encoded.codec));
    }
    assert!(!codecs.last().expect("there were many").is_positional());
}

#[test]
fn nested_options_come_back_as_they_were_or_are_not_stored() {
    for &preferred in Codec::FALLBACKS {
        for value in [None, Some(None), Some(Some(3_u8))] {
            if let Some(codec) = stored(&value, preferred) {
                assert!(codec.is_positional() || value != Some(None), "{codec} cannot tell them apart");
            }
        }
        let can_tell = Codec::FALLBACKS.iter().any(|codec| codec.is_positional());
        assert_eq!(stored(&Some(None::<u8>), preferred).is_some(), can_tell);
        // The unit is `null` too.
        assert_eq!(stored(&vec![Some(()), None], preferred).is_some(), can_tell);
    }
}

#[test]
fn numbers_that_json_does_not_know_are_stored_otherwise_or_not_at_all() {
    assert_ne!(stored(&f64::INFINITY, Codec::Json), Some(Codec::Json));
    assert_ne!(stored(&u128::MAX, Codec::Json), Some(Codec::Json));
    assert_ne!(stored(&i128::MIN, Codec::Json), Some(Codec::Json));
    for number in [0.1 + 0.2, f64::MIN_POSITIVE, f64::MAX, 1.0 / 3.0, -0.0, 123_456_789.123_456_78] {
        assert_eq!(stored(&number, Codec::Json), Some(Codec::Json));
    }
}

#[test]
fn any_finite_number_survives_json() {
    let mut dice = fastrand::Rng::with_seed(1);
    let numbers: Vec<f64> = (0..100_000).map(|_| f64::from_bits(dice.u64(..))).filter(|n| n.is_finite()).collect();
    assert_eq!(stored(&numbers, Codec::Json), Some(Codec::Json));
}

#[test]
fn keys_that_json_does_not_know_are_stored_otherwise_or_not_at_all() {
    let map = HashMap::from([((1_u8, 2_u8), 3_u8)]);
    assert_ne!(stored(&map, Codec::Json), Some(Codec::Json));
}

/// Comes back as something else.
#[derive(Clone, Debug, PartialEq)]
struct Uneven(u32);

impl Serialize for Uneven {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_u32(self.0)
    }
}

impl<'de> Deserialize<'de> for Uneven {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(Self(u32::deserialize(deserializer)? + 1))
    }
}

/// Panics when it is decoded, and counts how often it was encoded.
#[derive(Clone, Debug, PartialEq)]
struct Panics;

static ENCODED: AtomicUsize = AtomicUsize::new(0);

impl Serialize for Panics {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        ENCODED.fetch_add(1, Ordering::Relaxed);
        serializer.serialize_unit()
    }
}

impl<'de> Deserialize<'de> for Panics {
    fn deserialize<D: serde::Deserializer<'de>>(_deserializer: D) -> Result<Self, D::Error> {
        panic!("this type cannot be decoded");
    }
}

#[test]
fn a_type_that_does_not_come_back_is_not_stored_and_seldom_tried_again() {
    for &preferred in Codec::FALLBACKS {
        assert_eq!(stored(&Uneven(1), preferred), None);
    }
    let (choice, coder, kept): (_, _, Kept) = (CodecChoice::default(), coder::<Panics>(), Arc::new(Panics));
    assert_eq!(choice.encode("test", &coder, &kept, Codec::DEFAULT), None);
    let once = ENCODED.load(Ordering::Relaxed);
    for _ in 0..10 * super::choice::SAMPLE {
        assert_eq!(choice.encode("test", &coder, &kept, Codec::DEFAULT), None);
    }
    // Ten of the sample, and the powers of two below 2,560 that are none of them.
    assert_eq!(ENCODED.load(Ordering::Relaxed) / once, 1 + 10 + 8);
}

#[test]
fn a_first_value_that_no_codec_carries_does_not_speak_for_the_others() {
    use crate::codec::samples::Tree;
    let (choice, coder) = (CodecChoice::default(), coder::<Tree>());
    let leaf = || Box::new(Tree::Leaf);
    let deep = (0..1_000).fold(Tree::Leaf, |tree, _| Tree::Pair(Box::new(tree), leaf()));
    let (deep, shallow): (Kept, Kept) = (Arc::new(deep), Arc::new(Tree::Pair(leaf(), leaf())));
    assert_eq!(choice.encode("test", &coder, &deep, Codec::DEFAULT), None);
    let encoded = choice.encode("test", &coder, &shallow, Codec::DEFAULT).expect("it is an ordinary value");
    assert_eq!(encoded.codec, Codec::DEFAULT);
    for _ in 0..super::choice::SAMPLE {
        assert_eq!(choice.encode("test", &coder, &deep, Codec::DEFAULT), None);
        assert!(choice.encode("test", &coder, &shallow, Codec::DEFAULT).is_some());
    }
}

#[test]
fn each_function_warns_once() {
    let warnings = Warnings::default();
    tracing::subscriber::with_default(warnings.clone(), || {
        let (choice, coder, kept): (_, _, Kept) = (CodecChoice::default(), coder::<Uneven>(), Arc::new(Uneven(1)));
        for _ in 0..10 {
            assert_eq!(choice.encode("load_user", &coder, &kept, Codec::DEFAULT), None);
        }
    });
    let (count, function) = warnings.told();
    assert_eq!((count, function.as_str()), (1, "\"load_user\""));
}

#[test]
fn one_bad_value_of_a_good_type_is_left_out_alone() {
    let (choice, coder) = (CodecChoice::default(), coder::<Vec<Option<Uneven>>>());
    let (good, bad): (Kept, Kept) = (Arc::new(vec![None::<Uneven>]), Arc::new(vec![Some(Uneven(1))]));
    assert!(choice.encode("test", &coder, &good, Codec::DEFAULT).is_some());
    // The second write is one of the sample.
    assert!(choice.encode("test", &coder, &bad, Codec::DEFAULT).is_none());
    assert!(choice.encode("test", &coder, &good, Codec::DEFAULT).is_some());
}

#[test]
fn the_order_of_maps_does_not_count() {
    for &codec in Codec::FALLBACKS {
        for _ in 0..20 {
            // A map of its own has an order of its own.
            let kept: Kept = Arc::new(nested());
            let encoded = coder::<crate::codec::samples::Nested>().encode(&kept, codec).expect("plain");
            round_trip(&coder::<crate::codec::samples::Nested>(), &encoded);
        }
    }
}

#[test]
fn a_deep_value_is_an_error_and_no_crash() {
    use crate::codec::samples::Tree;
    let mut tree = Tree::Leaf;
    for _ in 0..1_000 {
        tree = Tree::Pair(Box::new(tree), Box::new(Tree::Leaf));
    }
    for &preferred in Codec::FALLBACKS {
        assert_eq!(stored(&tree, preferred), None);
    }
}
