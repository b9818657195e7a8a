//! What a type's `Deserialize` reads from, whatever the codec: one deserializer for all of them, since each one more is
//! compiled again for every type. Through it, a type's code exists once; what reads the bytes is not generic.
//!
//! It also does for the codecs by position what their own deserializers do not: no length is believed that the bytes
//! cannot hold, and no nesting that could use up the stack.

mod access;

use std::borrow::Cow;
use std::fmt;

use serde::de::{self, Deserializer, Visitor};

use self::access::{Entries, Items, Variant};
use crate::codec::positional::Positional;
use crate::codec::tree::Tree;

/// Why something is not a value of the type it is read as.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Malformed(Box<str>);

impl Malformed {
    /// By value, since a closure around it would be compiled for each type again.
    pub(super) fn of<E: fmt::Display>(error: E) -> Self {
        Self(error.to_string().into())
    }
}

impl fmt::Display for Malformed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Malformed {}

impl de::Error for Malformed {
    fn custom<T: fmt::Display>(message: T) -> Self {
        Self::of(message)
    }
}

/// A value that is about to be read.
pub(super) enum Reader<'a, 'de> {
    Positional(&'a mut Positional<'de>),
    /// With whether the format is for people to read: some types look different there.
    Tree(Tree<'de>, bool),
    /// Which variant of an enum, by its number.
    Index(u32),
}

fn unexpected<T>() -> Result<T, Malformed> {
    Err(Malformed::of("of another type"))
}

fn give_text<'de, V: Visitor<'de>>(text: Cow<'de, str>, visitor: V) -> Result<V::Value, Malformed> {
    match text {
        Cow::Borrowed(text) => visitor.visit_borrowed_str(text),
        Cow::Owned(text) => visitor.visit_string(text),
    }
}

fn give_bytes<'de, V: Visitor<'de>>(bytes: Cow<'de, [u8]>, visitor: V) -> Result<V::Value, Malformed> {
    match bytes {
        Cow::Borrowed(bytes) => visitor.visit_borrowed_bytes(bytes),
        Cow::Owned(bytes) => visitor.visit_byte_buf(bytes),
    }
}

impl<'de> Reader<'_, 'de> {
    /// What is there says itself what it is.
    fn any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Malformed> {
        match self {
            Self::Positional(_) => Err(Malformed::of("this codec does not tell what comes next")),
            Self::Index(index) => visitor.visit_u32(index),
            Self::Tree(Tree::List(list), human) => Items::of_list(list, human).read(visitor),
            Self::Tree(Tree::Map(map), human) => Entries::of_map(map, human).read(visitor),
            Self::Tree(Tree::Null, _) => visitor.visit_unit(),
            Self::Tree(Tree::Bool(value), _) => visitor.visit_bool(value),
            Self::Tree(Tree::Text(text) | Tree::Key(text), _) => give_text(text, visitor),
            Self::Tree(Tree::Bytes(bytes), _) => give_bytes(bytes, visitor),
            Self::Tree(Tree::Unsigned(value), _) => visitor.visit_u64(value),
            Self::Tree(Tree::Signed(value), _) => visitor.visit_i64(value),
            Self::Tree(Tree::Float(value), _) => visitor.visit_f64(value),
        }
    }

    /// A number that was written with its kind or as a key.
    fn number<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Malformed> {
        match self.into_number() {
            Some(Tree::Unsigned(value)) => visitor.visit_u64(value),
            Some(Tree::Signed(value)) => visitor.visit_i64(value),
            Some(Tree::Float(value)) => visitor.visit_f64(value),
            _ => unexpected(),
        }
    }

    fn into_number(self) -> Option<Tree<'de>> {
        let Self::Tree(tree, _) = self else { return None };
        match tree {
            Tree::Key(text) => {
                let unsigned = text.parse().map(Tree::Unsigned);
                let signed = unsigned.or_else(|_| text.parse().map(Tree::Signed));
                signed.or_else(|_| text.parse().map(Tree::Float)).ok()
            }
            number => Some(number),
        }
    }

    /// The sixteen bytes that `msgpack` makes of a wide number.
    fn into_wide(self) -> Option<[u8; 16]> {
        match self {
            Self::Tree(Tree::Bytes(bytes), _) => bytes.as_ref().try_into().ok(),
            Self::Tree(Tree::Unsigned(value), _) => Some(u128::from(value).to_be_bytes()),
            Self::Tree(Tree::Signed(value), _) => Some(i128::from(value).to_be_bytes()),
            Self::Tree(Tree::Key(text), _) => {
                let unsigned = text.parse::<u128>().map(u128::to_be_bytes);
                unsigned.or_else(|_| text.parse::<i128>().map(i128::to_be_bytes)).ok()
            }
            Self::Positional(_) | Self::Index(_) | Self::Tree(..) => None,
        }
    }

    fn into_bool(self) -> Option<bool> {
        match self {
            Self::Tree(Tree::Bool(value), _) => Some(value),
            Self::Tree(Tree::Key(text), _) => text.parse().ok(),
            Self::Positional(_) | Self::Index(_) | Self::Tree(..) => None,
        }
    }
}

macro_rules! numbers {
    ($($name:ident => $visit:ident),+ $(,)?) => {$(
        #[inline]
        fn $name<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Malformed> {
            match self {
                Self::Positional(positional) => visitor.$visit(positional.take()?),
                other => other.number(visitor),
            }
        }
    )+};
}

impl<'de> Deserializer<'de> for Reader<'_, 'de> {
    type Error = Malformed;

    numbers!(
        deserialize_u8 => visit_u8,
        deserialize_u16 => visit_u16,
        deserialize_u32 => visit_u32,
        deserialize_u64 => visit_u64,
        deserialize_i8 => visit_i8,
        deserialize_i16 => visit_i16,
        deserialize_i32 => visit_i32,
        deserialize_i64 => visit_i64,
        deserialize_f32 => visit_f32,
        deserialize_f64 => visit_f64,
    );

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Malformed> {
        self.any(visitor)
    }

    fn deserialize_u128<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Malformed> {
        match self {
            Self::Positional(positional) => visitor.visit_u128(positional.take()?),
            other => other.into_wide().map_or_else(unexpected, |wide| visitor.visit_u128(u128::from_be_bytes(wide))),
        }
    }

    fn deserialize_i128<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Malformed> {
        match self {
            Self::Positional(positional) => visitor.visit_i128(positional.take()?),
            other => other.into_wide().map_or_else(unexpected, |wide| visitor.visit_i128(i128::from_be_bytes(wide))),
        }
    }

    fn deserialize_bool<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Malformed> {
        match self {
            Self::Positional(positional) => visitor.visit_bool(positional.take()?),
            other => other.into_bool().map_or_else(unexpected, |value| visitor.visit_bool(value)),
        }
    }

    fn deserialize_char<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Malformed> {
        match self {
            Self::Positional(positional) => visitor.visit_char(positional.take()?),
            other => other.deserialize_str(visitor),
        }
    }

    fn deserialize_str<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Malformed> {
        match self {
            Self::Positional(positional) => visitor.visit_borrowed_str(positional.text()?),
            Self::Tree(Tree::Text(text) | Tree::Key(text), _) => give_text(text, visitor),
            Self::Tree(..) | Self::Index(_) => unexpected(),
        }
    }

    fn deserialize_string<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Malformed> {
        self.deserialize_str(visitor)
    }

    fn deserialize_bytes<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Malformed> {
        match self {
            Self::Positional(positional) => visitor.visit_borrowed_bytes(positional.bytes()?),
            // JSON makes a list of them.
            other => other.any(visitor),
        }
    }

    fn deserialize_byte_buf<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Malformed> {
        self.deserialize_bytes(visitor)
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Malformed> {
        match self {
            Self::Positional(positional) => {
                if !positional.is_some()? {
                    return visitor.visit_none();
                }
                positional.enter()?;
                let value = visitor.visit_some(Reader::Positional(&mut *positional))?;
                positional.leave();
                Ok(value)
            }
            Self::Tree(Tree::Null, _) => visitor.visit_none(),
            other => visitor.visit_some(other),
        }
    }

    fn deserialize_unit<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Malformed> {
        match self {
            Self::Positional(_) | Self::Tree(Tree::Null, _) => visitor.visit_unit(),
            // What `msgpack` makes of a struct without fields.
            Self::Tree(Tree::List(list), _) if list.is_empty() => visitor.visit_unit(),
            Self::Tree(..) | Self::Index(_) => unexpected(),
        }
    }

    fn deserialize_unit_struct<V: Visitor<'de>>(self, _: &'static str, visitor: V) -> Result<V::Value, Malformed> {
        self.deserialize_unit(visitor)
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(self, _: &'static str, visitor: V) -> Result<V::Value, Malformed> {
        match self {
            Self::Positional(positional) => {
                positional.enter()?;
                let value = visitor.visit_newtype_struct(Reader::Positional(&mut *positional))?;
                positional.leave();
                Ok(value)
            }
            other => visitor.visit_newtype_struct(other),
        }
    }

    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Malformed> {
        match self {
            Self::Positional(positional) => {
                let length = positional.length()?;
                Items::of_positional(positional, length).read(visitor)
            }
            Self::Tree(Tree::List(list), human) => Items::of_list(list, human).read(visitor),
            Self::Tree(..) | Self::Index(_) => unexpected(),
        }
    }

    fn deserialize_tuple<V: Visitor<'de>>(self, length: usize, visitor: V) -> Result<V::Value, Malformed> {
        match self {
            Self::Positional(positional) => Items::of_positional(positional, length).read(visitor),
            other => other.deserialize_seq(visitor),
        }
    }

    fn deserialize_tuple_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        length: usize,
        visitor: V,
    ) -> Result<V::Value, Malformed> {
        self.deserialize_tuple(length, visitor)
    }

    fn deserialize_map<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Malformed> {
        match self {
            Self::Positional(positional) => {
                let length = positional.length()?;
                Entries::of_positional(positional, length).read(visitor)
            }
            Self::Tree(Tree::Map(map), human) => Entries::of_map(map, human).read(visitor),
            Self::Tree(..) | Self::Index(_) => unexpected(),
        }
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Malformed> {
        match self {
            Self::Positional(positional) => Items::of_positional(positional, fields.len()).read(visitor),
            Self::Tree(Tree::Map(map), human) => Entries::of_map(map, human).read(visitor),
            Self::Tree(..) | Self::Index(_) => unexpected(),
        }
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _name: &'static str,
        _variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Malformed> {
        match self {
            Self::Positional(positional) => {
                positional.enter()?;
                let value = visitor.visit_enum(Variant::of_positional(&mut *positional))?;
                positional.leave();
                Ok(value)
            }
            Self::Tree(tree, human) => visitor.visit_enum(Variant::of_tree(tree, human)?),
            Self::Index(_) => unexpected(),
        }
    }

    fn deserialize_identifier<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Malformed> {
        match self {
            Self::Index(index) => visitor.visit_u32(index),
            Self::Tree(Tree::Text(text) | Tree::Key(text), _) => visitor.visit_str(&text),
            Self::Positional(_) | Self::Tree(..) => unexpected(),
        }
    }

    fn deserialize_ignored_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Malformed> {
        match self {
            Self::Positional(_) => self.any(visitor),
            Self::Tree(..) | Self::Index(_) => visitor.visit_unit(),
        }
    }

    fn is_human_readable(&self) -> bool {
        matches!(self, Self::Tree(_, true))
    }
}
