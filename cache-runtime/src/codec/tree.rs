//! What a codec with names wrote, before it is known what type it is.

use std::borrow::Cow;
use std::fmt;

use serde::de::{self, Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};

/// How many elements are believed in advance.
const PREPARED: usize = 1 << 10;

/// How many fields a struct may have before its list of them grows, where the format does not tell.
const PREPARED_FIELDS: usize = 8;

/// A value of the formats' common data model.
pub(super) enum Tree<'de> {
    Null,
    Bool(bool),
    Unsigned(u64),
    Signed(i64),
    Float(f64),
    Text(Cow<'de, str>),
    /// The key of a map in a format whose keys are all text: it may stand for a number.
    Key(Cow<'de, str>),
    Bytes(Cow<'de, [u8]>),
    List(Vec<Tree<'de>>),
    Map(Vec<(Tree<'de>, Tree<'de>)>),
}

impl<'de> Deserialize<'de> for Tree<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let has_text_keys = deserializer.is_human_readable();
        deserializer.deserialize_any(Builder { has_text_keys })
    }
}

struct Builder {
    has_text_keys: bool,
}

macro_rules! leaves {
    ($($name:ident($type:ty) => $value:ident: $tree:expr),+ $(,)?) => {$(
        fn $name<E: de::Error>(self, $value: $type) -> Result<Tree<'de>, E> {
            Ok($tree)
        }
    )+};
}

impl<'de> Visitor<'de> for Builder {
    type Value = Tree<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    leaves!(
        visit_bool(bool) => value: Tree::Bool(value),
        visit_u64(u64) => value: Tree::Unsigned(value),
        visit_i64(i64) => value: Tree::Signed(value),
        visit_f64(f64) => value: Tree::Float(value),
        visit_str(&str) => value: Tree::Text(Cow::Owned(value.to_owned())),
        visit_string(String) => value: Tree::Text(Cow::Owned(value)),
        visit_borrowed_str(&'de str) => value: Tree::Text(Cow::Borrowed(value)),
        visit_bytes(&[u8]) => value: Tree::Bytes(Cow::Owned(value.to_vec())),
        visit_byte_buf(Vec<u8>) => value: Tree::Bytes(Cow::Owned(value)),
        visit_borrowed_bytes(&'de [u8]) => value: Tree::Bytes(Cow::Borrowed(value)),
    );

    fn visit_unit<E: de::Error>(self) -> Result<Tree<'de>, E> {
        Ok(Tree::Null)
    }

    fn visit_none<E: de::Error>(self) -> Result<Tree<'de>, E> {
        Ok(Tree::Null)
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<Tree<'de>, D::Error> {
        Tree::deserialize(deserializer)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut elements: A) -> Result<Tree<'de>, A::Error> {
        let mut list = Vec::with_capacity(elements.size_hint().unwrap_or(0).min(PREPARED));
        while let Some(element) = elements.next_element()? {
            list.push(element);
        }
        Ok(Tree::List(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Tree<'de>, A::Error> {
        let mut map = Vec::with_capacity(entries.size_hint().unwrap_or(PREPARED_FIELDS).min(PREPARED));
        while let Some((key, value)) = entries.next_entry()? {
            let key = match key {
                Tree::Text(text) if self.has_text_keys => Tree::Key(text),
                other => other,
            };
            map.push((key, value));
        }
        Ok(Tree::Map(map))
    }
}
