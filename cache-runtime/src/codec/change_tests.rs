//! A value is written as one type and read as another: in a rolling deploy whose author forgot to raise the version.
//! Whatever the codec, the reader gets an equal value or none.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::codec::samples::{coder, coder_of_option};
use crate::codec::{Codec, Coder};
use crate::shape::{Kept, Value};

/// Written as `A`, read as `B`: by no codec a value.
#[track_caller]
fn refused<A: Value, B: Value + std::fmt::Debug>(value: A) {
    let value: Kept = Arc::new(value);
    refused_by(&coder::<A>(), &value, &coder::<B>());
}

#[track_caller]
fn refused_by(from: &Coder, value: &Kept, to: &Coder) {
    for &codec in Codec::FALLBACKS {
        let Ok(encoded) = from.encode(value, codec) else { continue };
        let read = to.decode(&encoded.payload, codec, encoded.digest);
        assert!(read.is_err(), "{codec} gives a value of the new type");
    }
}

/// The same declarations with something changed, each in a module of its own, since the names are part of the type.
macro_rules! types {
    ($($module:ident { $($item:item)+ })+) => {$(
        mod $module {
            use serde::{Deserialize, Serialize};
            $(
                #[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
                $item
            )+
        }
    )+};
}

types! {
    now {
        pub(super) struct Row { pub(super) a: u32, pub(super) b: u32, pub(super) c: String }
        pub(super) enum Event { Made(u32), Gone(u32) }
        pub(super) struct Pair(pub(super) u32, pub(super) u32);
        pub(super) struct Holder { pub(super) row: Option<Row>, pub(super) list: Vec<Event> }
    }
    reordered {
        pub(super) struct Row { pub(super) b: u32, pub(super) a: u32, pub(super) c: String }
        pub(super) enum Event { Gone(u32), Made(u32) }
    }
    renamed {
        pub(super) struct Row { pub(super) a: u32, pub(super) z: u32, pub(super) c: String }
        pub(super) enum Event { Created(u32), Gone(u32) }
        pub(super) struct Couple(pub(super) u32, pub(super) u32);
        pub(super) struct Line { pub(super) a: u32, pub(super) b: u32, pub(super) c: String }
    }
    inserted {
        pub(super) enum Event { Found(u32), Made(u32), Gone(u32) }
        pub(super) struct Row {
            pub(super) a: u32,
            #[serde(default)]
            pub(super) x: u8,
            pub(super) b: u32,
            pub(super) c: String,
        }
    }
    removed {
        pub(super) struct Row { pub(super) a: u32, pub(super) b: u32 }
        pub(super) struct Empty {}
    }
    retyped {
        pub(super) struct Row { pub(super) a: i32, pub(super) b: u32, pub(super) c: String }
        pub(super) struct Wide { pub(super) a: u64, pub(super) b: u32, pub(super) c: String }
        pub(super) enum Event { Made(i32), Gone(i32) }
        pub(super) struct Holder {
            pub(super) row: Option<super::reordered::Row>,
            pub(super) list: Vec<super::reordered::Event>,
        }
    }
}

fn row() -> now::Row {
    now::Row { a: 1, b: 2, c: "three".to_owned() }
}

#[test]
fn reordered_fields() {
    refused::<_, reordered::Row>(row());
    // With equal values too: the next one would not be equal.
    refused::<_, reordered::Row>(now::Row { a: 1, b: 1, c: String::new() });
}

#[test]
fn renamed_fields_and_types() {
    refused::<_, renamed::Row>(row());
    refused::<_, renamed::Line>(row());
    refused::<_, renamed::Couple>(now::Pair(1, 2));
}

#[test]
fn added_and_removed_fields() {
    refused::<_, inserted::Row>(row());
    refused::<_, removed::Row>(row());
    refused::<_, now::Row>(removed::Row { a: 1, b: 2 });
    refused::<_, removed::Empty>(row());
}

#[test]
fn retyped_fields() {
    refused::<_, retyped::Row>(row());
    refused::<_, retyped::Wide>(row());
}

#[test]
fn variants_inserted_renamed_reordered_and_retyped() {
    for event in [now::Event::Made(1), now::Event::Gone(1)] {
        refused::<_, inserted::Event>(event.clone());
        refused::<_, reordered::Event>(event.clone());
        refused::<_, retyped::Event>(event);
    }
    refused::<_, renamed::Event>(now::Event::Made(1));
}

#[test]
fn changes_further_down() {
    refused::<_, retyped::Holder>(now::Holder { row: Some(row()), list: Vec::new() });
    refused::<_, retyped::Holder>(now::Holder { row: None, list: vec![now::Event::Made(1)] });
    refused::<_, Vec<reordered::Row>>(vec![row()]);
    refused::<_, BTreeMap<u8, reordered::Row>>(BTreeMap::from([(1, row())]));
}

/// A number that fits all of them.
macro_rules! numbers {
    ($($from:ty => [$($to:ty),+]),+ $(,)?) => {$(
        $(refused::<$from, $to>(<$from>::from(1_u8));)+
    )+};
}

#[test]
fn other_numbers() {
    numbers!(
        u8 => [i8, u16, u32, u64, u128, f32, f64, bool, char, String],
        u32 => [i32, u8, u16, u64, f32, f64],
        u64 => [i64, u32, f64, u128, i128],
        i32 => [u32, i64],
        f32 => [f64, u32],
        f64 => [f32, u64, i64],
    );
    refused::<bool, u8>(true);
    refused::<char, String>('x');
    refused::<String, char>("x".to_owned());
}

/// Bytes, as `serde_bytes` writes them.
#[derive(Clone, Debug, PartialEq)]
struct Bytes(Vec<u8>);

impl Serialize for Bytes {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_bytes(&self.0)
    }
}

impl<'de> Deserialize<'de> for Bytes {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;
        impl serde::de::Visitor<'_> for Visitor {
            type Value = Bytes;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("bytes")
            }

            fn visit_bytes<E>(self, bytes: &[u8]) -> Result<Bytes, E> {
                Ok(Bytes(bytes.to_vec()))
            }

            fn visit_str<E>(self, text: &str) -> Result<Bytes, E> {
                Ok(Bytes(text.as_bytes().to_vec()))
            }
        }
        deserializer.deserialize_bytes(Visitor)
    }
}

#[test]
fn text_bytes_and_sequences() {
    refused::<String, Bytes>("text".to_owned());
    refused::<Bytes, String>(Bytes(b"text".to_vec()));
    refused::<Vec<u8>, Bytes>(b"text".to_vec());
    refused::<Vec<u8>, String>(b"text".to_vec());
    refused::<String, Vec<u8>>("text".to_owned());
    refused::<Vec<u8>, Vec<i8>>(vec![1]);
    refused::<Vec<u32>, Vec<u64>>(vec![1, 2, 3]);
}

#[test]
fn containers() {
    refused::<(u32, u32), now::Pair>((1, 2));
    refused::<now::Pair, (u32, u32)>(now::Pair(1, 2));
    refused::<(u32, u32, String), now::Row>((1, 2, "x".to_owned()));
    refused::<now::Row, (u32, u32, String)>(row());
    refused::<[u8; 2], Vec<u8>>([1, 2]);
    refused::<Vec<u8>, (u8, u8)>(vec![1, 2]);
    refused::<Vec<(String, u8)>, BTreeMap<String, u8>>(vec![("a".to_owned(), 1)]);
    refused::<BTreeMap<String, u8>, Vec<(String, u8)>>(BTreeMap::from([("a".to_owned(), 1)]));
    refused::<(), Option<u8>>(());
    refused::<(), removed::Empty>(());
}

types! {
    units { pub(super) struct Other; }
}

mod empty {
    use serde::{Deserialize, Serialize};

    #[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
    pub(super) struct Empty;
}

#[test]
fn units() {
    refused::<empty::Empty, units::Other>(empty::Empty);
    refused::<empty::Empty, ()>(empty::Empty);
    refused::<empty::Empty, removed::Empty>(empty::Empty);
}

#[test]
fn options() {
    refused::<u8, Option<u8>>(0);
    refused::<u8, Option<u8>>(1);
    refused::<Option<u8>, u8>(Some(1));
    refused::<Option<u8>, u8>(None);
    refused::<Option<u8>, Option<Option<u8>>>(Some(1));
    refused::<Option<Option<u8>>, Option<u8>>(Some(None));
    refused::<Option<Option<u8>>, Option<u8>>(Some(Some(1)));
    refused::<Option<bool>, Option<Option<()>>>(Some(false));
    let some: Kept = Arc::new(Some(1_u32));
    refused_by(&coder_of_option::<u32>(), &some, &coder_of_option::<i32>());
}

#[test]
fn a_change_that_changes_nothing_for_this_value_is_no_change() {
    // The variant stands where it stood, and what was added is not in the value.
    types! {
        more { pub(super) enum Event { Made(u32), Gone(u32), Found(u32) } }
    }
    for &codec in Codec::FALLBACKS {
        let kept: Kept = Arc::new(now::Event::Gone(7));
        let encoded = coder::<now::Event>().encode(&kept, codec).expect("plain");
        let read = coder::<more::Event>().decode(&encoded.payload, codec, encoded.digest).expect("it has that variant");
        assert_eq!(read.kept.downcast_ref(), Some(&more::Event::Gone(7)));
    }
}
