//! How many bytes a value holds, so that the in-process tier can be bounded in bytes.
//!
//! A serde serializer that adds up instead of writing: text and byte strings by their length, numbers by their width,
//! plus what a container spends on each element. An estimate, and on the safe side for nested values: what lies inline
//! in the value is counted with the value's own size too.

use std::fmt;

use serde::ser::{
    self, Serialize, SerializeMap, SerializeSeq, SerializeStruct, SerializeStructVariant, SerializeTuple,
    SerializeTupleStruct, SerializeTupleVariant,
};

/// What text or a container costs beyond its bytes: pointer, length and capacity, and the allocator's rounding.
const CONTAINER: usize = 40;

/// What a map spends on each entry beyond key and value.
const MAP_ENTRY: usize = 8;

/// The estimated bytes of `value`, itself and all that it owns.
pub(crate) fn weigh<T: Serialize>(value: &T) -> usize {
    let mut scale = Scale { bytes: 0 };
    // A `Serialize` that fails part-way was counted up to there; the value's own size is counted in any case.
    let counted = value.serialize(&mut scale);
    let partial = if counted.is_err() { CONTAINER } else { 0 };
    size_of::<T>() + scale.bytes + partial
}

struct Scale {
    bytes: usize,
}

#[derive(Debug)]
struct Unweighable;

impl fmt::Display for Unweighable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the value's `Serialize` failed")
    }
}

impl std::error::Error for Unweighable {}

impl ser::Error for Unweighable {
    fn custom<T: fmt::Display>(_message: T) -> Self {
        Self
    }
}

impl Scale {
    #[expect(clippy::unnecessary_wraps, reason = "what serde's methods return")]
    fn add(&mut self, bytes: usize) -> Result<(), Unweighable> {
        self.bytes = self.bytes.saturating_add(bytes);
        Ok(())
    }
}

macro_rules! widths {
    ($($name:ident($type:ty)),+) => {$(
        fn $name(self, _value: $type) -> Result<(), Unweighable> {
            self.add(size_of::<$type>())
        }
    )+};
}

impl ser::Serializer for &mut Scale {
    type Ok = ();
    type Error = Unweighable;
    type SerializeSeq = Self;
    type SerializeTuple = Self;
    type SerializeTupleStruct = Self;
    type SerializeTupleVariant = Self;
    type SerializeMap = Self;
    type SerializeStruct = Self;
    type SerializeStructVariant = Self;

    widths!(serialize_bool(bool), serialize_i8(i8), serialize_i16(i16), serialize_i32(i32), serialize_i64(i64));
    widths!(serialize_i128(i128), serialize_u8(u8), serialize_u16(u16), serialize_u32(u32), serialize_u64(u64));
    widths!(serialize_u128(u128), serialize_f32(f32), serialize_f64(f64), serialize_char(char));

    fn serialize_str(self, value: &str) -> Result<(), Unweighable> {
        self.add(value.len() + CONTAINER)
    }

    fn serialize_bytes(self, value: &[u8]) -> Result<(), Unweighable> {
        self.add(value.len() + CONTAINER)
    }

    fn serialize_none(self) -> Result<(), Unweighable> {
        self.add(1)
    }

    fn serialize_some<T: Serialize + ?Sized>(self, value: &T) -> Result<(), Unweighable> {
        value.serialize(self)
    }

    fn serialize_unit(self) -> Result<(), Unweighable> {
        Ok(())
    }

    fn serialize_unit_struct(self, _name: &'static str) -> Result<(), Unweighable> {
        Ok(())
    }

    fn serialize_unit_variant(self, _: &'static str, _: u32, _: &'static str) -> Result<(), Unweighable> {
        self.add(size_of::<usize>())
    }

    fn serialize_newtype_struct<T: Serialize + ?Sized>(self, _: &'static str, value: &T) -> Result<(), Unweighable> {
        value.serialize(self)
    }

    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        _: &'static str,
        _: u32,
        _: &'static str,
        value: &T,
    ) -> Result<(), Unweighable> {
        self.add(size_of::<usize>())?;
        value.serialize(self)
    }

    fn serialize_seq(self, _length: Option<usize>) -> Result<Self, Unweighable> {
        self.add(CONTAINER)?;
        Ok(self)
    }

    fn serialize_tuple(self, _length: usize) -> Result<Self, Unweighable> {
        Ok(self)
    }

    fn serialize_tuple_struct(self, _: &'static str, _: usize) -> Result<Self, Unweighable> {
        Ok(self)
    }

    fn serialize_tuple_variant(self, _: &'static str, _: u32, _: &'static str, _: usize) -> Result<Self, Unweighable> {
        self.add(size_of::<usize>())?;
        Ok(self)
    }

    fn serialize_map(self, _length: Option<usize>) -> Result<Self, Unweighable> {
        self.add(CONTAINER)?;
        Ok(self)
    }

    fn serialize_struct(self, _: &'static str, _: usize) -> Result<Self, Unweighable> {
        Ok(self)
    }

    fn serialize_struct_variant(self, _: &'static str, _: u32, _: &'static str, _: usize) -> Result<Self, Unweighable> {
        self.add(size_of::<usize>())?;
        Ok(self)
    }
}

macro_rules! compounds {
    ($($trait:ident::$name:ident($($field:ty)?)),+) => {$(
        impl $trait for &mut Scale {
            type Ok = ();
            type Error = Unweighable;

            fn $name<T: Serialize + ?Sized>(&mut self, $(_: $field,)? value: &T) -> Result<(), Unweighable> {
                value.serialize(&mut **self)
            }

            fn end(self) -> Result<(), Unweighable> {
                Ok(())
            }
        }
    )+};
}

compounds!(
    SerializeSeq::serialize_element(),
    SerializeTuple::serialize_element(),
    SerializeTupleStruct::serialize_field(),
    SerializeTupleVariant::serialize_field(),
    SerializeStruct::serialize_field(&'static str),
    SerializeStructVariant::serialize_field(&'static str)
);

impl SerializeMap for &mut Scale {
    type Ok = ();
    type Error = Unweighable;

    fn serialize_key<T: Serialize + ?Sized>(&mut self, key: &T) -> Result<(), Unweighable> {
        self.add(MAP_ENTRY)?;
        key.serialize(&mut **self)
    }

    fn serialize_value<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Unweighable> {
        value.serialize(&mut **self)
    }

    fn end(self) -> Result<(), Unweighable> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use super::*;

    #[track_caller]
    fn check<T: Serialize>(value: &T, range: std::ops::RangeInclusive<usize>) {
        let weight = weigh(value);
        assert!(range.contains(&weight), "{weight} is not in {range:?}");
    }

    #[test]
    fn weights_are_near_the_bytes_that_are_held() {
        check(&7_u64, 8..=16);
        check(&"x".repeat(1_000), 1_024..=1_100);
        check(&vec![0_u64; 1_000], 8_000..=8_100);
        check(&vec!["x".repeat(10); 1_000], 50_000..=60_000);
        check(&vec![[0_u64; 32]; 10], 2_560..=2_900);
        check(&(0..1_000_u64).map(|i| (i, i)).collect::<HashMap<_, _>>(), 24_000..=64_000);
        check(&None::<String>, 24..=40);
    }

    #[test]
    fn a_value_that_cannot_be_serialised_still_weighs_something() {
        struct Broken;
        impl Serialize for Broken {
            fn serialize<S: ser::Serializer>(&self, _serializer: S) -> Result<S::Ok, S::Error> {
                Err(ser::Error::custom("broken"))
            }
        }
        check(&Broken, CONTAINER..=CONTAINER);
    }
}
