//! The serializer that looks at a value and writes nothing.

use std::fmt;

use serde::ser::{
    self, Serialize, SerializeMap, SerializeSeq, SerializeStruct, SerializeStructVariant, SerializeTuple,
    SerializeTupleStruct, SerializeTupleVariant,
};

use crate::schema::{Hash, Kind, Sums, Walked};
use crate::weight::Scale;

/// How deep values may be nested. What is deeper is not stored: decoding it would need as much stack, at a time and in
/// a thread that nobody chose.
const DEPTH: u8 = 128;

pub(super) struct Walker(Sums);

impl Walker {
    pub(super) fn new() -> Self {
        Self(Sums { hash: Hash::BEGIN, scale: Scale::default(), is_uneven: false, depth: 0 })
    }

    pub(super) fn finish(self, inline: usize, is_whole: bool) -> Walked {
        let Sums { hash, scale, is_uneven, depth: _ } = self.0;
        Walked { digest: hash.0, bytes: scale.of_value(inline, is_whole), is_uneven, is_whole }
    }

    /// One level down; as many ends follow.
    #[inline]
    fn enter(&mut self) -> Result<(), Unwalkable> {
        self.0.depth += 1;
        if self.0.depth > DEPTH { Err(Unwalkable) } else { Ok(()) }
    }

    #[inline]
    #[expect(clippy::unnecessary_wraps, reason = "what serde's methods return")]
    fn leave(&mut self) -> Result<(), Unwalkable> {
        self.0.depth -= 1;
        Ok(())
    }

    fn inside<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Unwalkable> {
        self.enter()?;
        value.serialize(&mut *self)?;
        self.leave()
    }

    /// A variant's head: which one of which enum.
    fn variant(&mut self, kind: Kind, name: &str, index: u32, variant: &str) {
        self.0.scale.variant();
        self.0.hash.add_bytes(kind, name.as_bytes());
        self.0.hash.add(Kind::Length, u64::from(index));
        self.0.hash.add_bytes(Kind::Variant, variant.as_bytes());
    }

    fn named(&mut self, kind: Kind, name: &str, length: usize) {
        self.0.hash.add_bytes(kind, name.as_bytes());
        self.0.hash.add(Kind::Length, length as u64);
    }
}

/// A value's `Serialize` gave up.
#[derive(Debug)]
pub(super) struct Unwalkable;

impl fmt::Display for Unwalkable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the value's `Serialize` failed, or it is nested too deep")
    }
}

impl std::error::Error for Unwalkable {}

impl ser::Error for Unwalkable {
    fn custom<T: fmt::Display>(_message: T) -> Self {
        Self
    }
}

macro_rules! numbers {
    ($($name:ident($type:ty, $kind:ident): $value:ident => $bits:expr),+ $(,)?) => {$(
        #[inline]
        fn $name(self, $value: $type) -> Result<(), Unwalkable> {
            self.0.scale.number(size_of::<$type>());
            self.0.hash.add(Kind::$kind, $bits);
            Ok(())
        }
    )+};
}

impl<'a> ser::Serializer for &'a mut Walker {
    type Ok = ();
    type Error = Unwalkable;
    type SerializeSeq = Elements<'a>;
    type SerializeTuple = Self;
    type SerializeTupleStruct = Self;
    type SerializeTupleVariant = Self;
    type SerializeMap = Elements<'a>;
    type SerializeStruct = Self;
    type SerializeStructVariant = Self;

    numbers!(
        serialize_bool(bool, Bool): value => u64::from(value),
        serialize_i8(i8, I8): value => i64::from(value).cast_unsigned(),
        serialize_i16(i16, I16): value => i64::from(value).cast_unsigned(),
        serialize_i32(i32, I32): value => i64::from(value).cast_unsigned(),
        serialize_i64(i64, I64): value => value.cast_unsigned(),
        serialize_u8(u8, U8): value => u64::from(value),
        serialize_u16(u16, U16): value => u64::from(value),
        serialize_u32(u32, U32): value => u64::from(value),
        serialize_u64(u64, U64): value => value,
        serialize_f32(f32, F32): value => u64::from(value.to_bits()),
        serialize_f64(f64, F64): value => value.to_bits(),
        serialize_char(char, Char): value => u64::from(value),
    );

    fn serialize_i128(self, value: i128) -> Result<(), Unwalkable> {
        self.0.scale.number(size_of::<i128>());
        self.0.hash.add_bytes(Kind::I128, &value.to_le_bytes());
        Ok(())
    }

    fn serialize_u128(self, value: u128) -> Result<(), Unwalkable> {
        self.0.scale.number(size_of::<u128>());
        self.0.hash.add_bytes(Kind::U128, &value.to_le_bytes());
        Ok(())
    }

    #[inline]
    fn serialize_str(self, value: &str) -> Result<(), Unwalkable> {
        self.0.scale.text(value.len());
        self.0.hash.add_bytes(Kind::Text, value.as_bytes());
        Ok(())
    }

    fn serialize_bytes(self, value: &[u8]) -> Result<(), Unwalkable> {
        self.0.scale.text(value.len());
        self.0.hash.add_bytes(Kind::Bytes, value);
        Ok(())
    }

    fn serialize_none(self) -> Result<(), Unwalkable> {
        self.0.scale.number(1);
        self.0.hash.add(Kind::None, 0);
        Ok(())
    }

    fn serialize_some<T: Serialize + ?Sized>(self, value: &T) -> Result<(), Unwalkable> {
        self.0.hash.add(Kind::Some, 0);
        self.inside(value)
    }

    fn serialize_unit(self) -> Result<(), Unwalkable> {
        self.0.hash.add(Kind::Unit, 0);
        Ok(())
    }

    fn serialize_unit_struct(self, name: &'static str) -> Result<(), Unwalkable> {
        self.named(Kind::UnitStruct, name, 0);
        Ok(())
    }

    fn serialize_unit_variant(self, name: &'static str, index: u32, variant: &'static str) -> Result<(), Unwalkable> {
        self.variant(Kind::UnitVariant, name, index, variant);
        Ok(())
    }

    fn serialize_newtype_struct<T: Serialize + ?Sized>(self, name: &'static str, value: &T) -> Result<(), Unwalkable> {
        self.named(Kind::NewtypeStruct, name, 1);
        self.inside(value)
    }

    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        name: &'static str,
        index: u32,
        variant: &'static str,
        value: &T,
    ) -> Result<(), Unwalkable> {
        self.variant(Kind::NewtypeVariant, name, index, variant);
        self.inside(value)
    }

    fn serialize_seq(self, _length: Option<usize>) -> Result<Elements<'a>, Unwalkable> {
        self.0.scale.container();
        self.enter()?;
        Ok(Elements::new(self, Kind::Sequence))
    }

    fn serialize_tuple(self, length: usize) -> Result<Self, Unwalkable> {
        self.named(Kind::Tuple, "", length);
        self.enter()?;
        Ok(self)
    }

    fn serialize_tuple_struct(self, name: &'static str, length: usize) -> Result<Self, Unwalkable> {
        self.named(Kind::TupleStruct, name, length);
        self.enter()?;
        Ok(self)
    }

    fn serialize_tuple_variant(
        self,
        name: &'static str,
        index: u32,
        variant: &'static str,
        length: usize,
    ) -> Result<Self, Unwalkable> {
        self.variant(Kind::TupleVariant, name, index, variant);
        self.0.hash.add(Kind::Length, length as u64);
        self.enter()?;
        Ok(self)
    }

    fn serialize_map(self, _length: Option<usize>) -> Result<Elements<'a>, Unwalkable> {
        self.0.scale.container();
        self.enter()?;
        Ok(Elements::new(self, Kind::Map))
    }

    fn serialize_struct(self, name: &'static str, length: usize) -> Result<Self, Unwalkable> {
        self.named(Kind::Struct, name, length);
        self.enter()?;
        Ok(self)
    }

    fn serialize_struct_variant(
        self,
        name: &'static str,
        index: u32,
        variant: &'static str,
        length: usize,
    ) -> Result<Self, Unwalkable> {
        self.variant(Kind::StructVariant, name, index, variant);
        self.0.hash.add(Kind::Length, length as u64);
        self.enter()?;
        Ok(self)
    }

    /// One answer for all codecs: the digest must not depend on the one that carries the value.
    fn is_human_readable(&self) -> bool {
        false
    }
}

macro_rules! positions {
    ($($trait:ident::$name:ident),+) => {$(
        impl $trait for &mut Walker {
            type Ok = ();
            type Error = Unwalkable;

            fn $name<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Unwalkable> {
                value.serialize(&mut **self)
            }

            fn end(self) -> Result<(), Unwalkable> {
                self.leave()
            }
        }
    )+};
}

positions!(
    SerializeTuple::serialize_element,
    SerializeTupleStruct::serialize_field,
    SerializeTupleVariant::serialize_field
);

macro_rules! fields {
    ($($trait:ident),+) => {$(
        impl $trait for &mut Walker {
            type Ok = ();
            type Error = Unwalkable;

            fn serialize_field<T: Serialize + ?Sized>(
                &mut self,
                name: &'static str,
                value: &T,
            ) -> Result<(), Unwalkable> {
                self.0.hash.add_bytes(Kind::Field, name.as_bytes());
                value.serialize(&mut **self)
            }

            fn skip_field(&mut self, name: &'static str) -> Result<(), Unwalkable> {
                self.0.is_uneven = true;
                self.0.hash.add_bytes(Kind::Skipped, name.as_bytes());
                Ok(())
            }

            fn end(self) -> Result<(), Unwalkable> {
                self.leave()
            }
        }
    )+};
}

fields!(SerializeStruct, SerializeStructVariant);

/// Elements whose order does not count: each is hashed by itself, and the hashes are added up.
pub(super) struct Elements<'a> {
    walker: &'a mut Walker,
    kind: Kind,
    outer: Hash,
    sum: u64,
    length: u64,
}

impl<'a> Elements<'a> {
    fn new(walker: &'a mut Walker, kind: Kind) -> Self {
        let outer = walker.0.hash;
        Self { walker, kind, outer, sum: 0, length: 0 }
    }

    fn begin(&mut self) {
        self.walker.0.hash = Hash::BEGIN;
        self.length += 1;
    }

    fn add(&mut self) {
        // Once more, so that the sum is one of well-mixed numbers.
        self.walker.0.hash.add(self.kind, 0);
        self.sum = self.sum.wrapping_add(self.walker.0.hash.0);
    }

    fn finish(self) -> Result<(), Unwalkable> {
        let mut hash = self.outer;
        hash.add(self.kind, self.sum);
        hash.add(Kind::Length, self.length);
        self.walker.0.hash = hash;
        self.walker.leave()
    }
}

impl SerializeSeq for Elements<'_> {
    type Ok = ();
    type Error = Unwalkable;

    #[inline]
    fn serialize_element<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Unwalkable> {
        self.begin();
        value.serialize(&mut *self.walker)?;
        self.add();
        Ok(())
    }

    fn end(self) -> Result<(), Unwalkable> {
        self.finish()
    }
}

impl SerializeMap for Elements<'_> {
    type Ok = ();
    type Error = Unwalkable;

    fn serialize_key<T: Serialize + ?Sized>(&mut self, key: &T) -> Result<(), Unwalkable> {
        self.begin();
        self.walker.0.scale.entry();
        key.serialize(&mut *self.walker)
    }

    fn serialize_value<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Unwalkable> {
        value.serialize(&mut *self.walker)?;
        self.add();
        Ok(())
    }

    fn end(self) -> Result<(), Unwalkable> {
        self.finish()
    }
}
