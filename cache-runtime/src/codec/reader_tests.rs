//! Bytes that no value was made of, read all the same: the checksum is not there to help.

use std::collections::HashMap;
use std::sync::Arc;

use crate::codec::samples::{Tree, Unit, User, coder, user};
use crate::codec::{CodeError, Codec, Encoded};
use crate::shape::{Kept, Value};

fn positional() -> impl Iterator<Item = Codec> {
    Codec::FALLBACKS.iter().copied().filter(|codec| codec.is_positional())
}

#[track_caller]
fn error_of<T: Value + std::fmt::Debug>(bytes: &[u8], codec: Codec) -> CodeError {
    coder::<T>().decode(bytes, codec, 0).expect_err("these bytes are no such value")
}

fn encoded<T: Value>(value: T, codec: Codec) -> Encoded {
    let kept: Kept = Arc::new(value);
    coder::<T>().encode(&kept, codec).expect("plain")
}

#[test]
fn nesting_that_would_use_up_the_stack_is_refused() {
    for codec in positional() {
        // `Pair(Pair(Pair(..`: variant 2 again and again.
        let error = error_of::<Tree>(&vec![2; 1_000_000], codec);
        assert_eq!(error, CodeError::Codec("nested too deep".to_owned()));
        let error = error_of::<Option<Box<Tree>>>(&[vec![1], vec![2; 1_000_000]].concat(), codec);
        assert_eq!(error, CodeError::Codec("nested too deep".to_owned()));
    }
    let deep = "[".repeat(1_000_000);
    assert!(matches!(error_of::<serde_json::Value>(deep.as_bytes(), Codec::Json), CodeError::Codec(_)));
}

#[test]
fn a_length_that_the_bytes_cannot_hold_is_not_believed() {
    for codec in positional() {
        for length in [1_u64 << 20, 1 << 40, u64::MAX] {
            let bytes = encoded(length, codec).payload;
            error_of::<Vec<u64>>(&bytes, codec);
            error_of::<Vec<Unit>>(&bytes, codec);
            error_of::<HashMap<Unit, u64>>(&bytes, codec);
            error_of::<String>(&bytes, codec);
        }
    }
}

#[test]
fn elements_that_take_no_bytes_come_back() {
    for &codec in Codec::FALLBACKS {
        let encoded = encoded(vec![Unit; 1_000], codec);
        let decoded = coder::<Vec<Unit>>().decode(&encoded.payload, codec, encoded.digest).expect("plain");
        assert_eq!(decoded.kept.downcast_ref(), Some(&vec![Unit; 1_000]));
    }
}

#[test]
fn bytes_behind_the_value_are_refused() {
    for &codec in Codec::FALLBACKS {
        for byte in 0..=u8::MAX {
            let mut encoded = encoded(user(), codec);
            encoded.payload.push(byte);
            let read = coder::<User>().decode(&encoded.payload, codec, encoded.digest);
            // JSON may end with white space.
            assert!(read.is_err() || byte.is_ascii_whitespace(), "{codec} takes a further {byte}");
        }
    }
}

#[test]
fn what_is_stored_is_what_the_codec_says() {
    #[cfg(feature = "bincode")]
    {
        let bytes = encoded(crate::codec::samples::nested(), Codec::Bincode).payload;
        let own: crate::codec::samples::Nested =
            bincode::serde::decode_from_slice(&bytes, bincode::config::standard()).expect("it is bincode").0;
        assert_eq!(own, crate::codec::samples::nested());
    }
    #[cfg(feature = "postcard")]
    {
        let bytes = encoded(crate::codec::samples::nested(), Codec::Postcard).payload;
        let own: crate::codec::samples::Nested = postcard::from_bytes(&bytes).expect("it is postcard");
        assert_eq!(own, crate::codec::samples::nested());
    }
}
