//! What is inside a value: elements, entries, variants.

use std::vec::IntoIter;

use serde::de::{DeserializeSeed, EnumAccess, MapAccess, SeqAccess, VariantAccess, Visitor};

use crate::codec::positional::Positional;
use crate::codec::reader::{Malformed, Reader, unexpected};
use crate::codec::tree::Tree;

/// Elements or fields, one after the other.
pub(super) enum Items<'a, 'de> {
    Positional(&'a mut Positional<'de>, usize),
    List(IntoIter<Tree<'de>>, bool),
}

impl<'a, 'de> Items<'a, 'de> {
    pub(super) fn of_positional(positional: &'a mut Positional<'de>, length: usize) -> Self {
        Self::Positional(positional, length)
    }

    pub(super) fn of_list(list: Vec<Tree<'de>>, human: bool) -> Self {
        Self::List(list.into_iter(), human)
    }

    pub(super) fn read<V: Visitor<'de>>(mut self, visitor: V) -> Result<V::Value, Malformed> {
        self.begin()?;
        let value = visitor.visit_seq(&mut self)?;
        self.end()?;
        Ok(value)
    }

    fn begin(&mut self) -> Result<(), Malformed> {
        match self {
            Self::Positional(positional, _) => positional.enter(),
            Self::List(..) => Ok(()),
        }
    }

    /// All of them were read.
    fn end(self) -> Result<(), Malformed> {
        match self {
            Self::Positional(positional, 0) => {
                positional.leave();
                Ok(())
            }
            Self::List(list, _) if list.len() == 0 => Ok(()),
            Self::Positional(..) | Self::List(..) => Err(Malformed::of("too many elements")),
        }
    }

    fn next(&mut self) -> Option<Reader<'_, 'de>> {
        match self {
            Self::Positional(positional, length) => {
                *length = length.checked_sub(1)?;
                Some(Reader::Positional(positional))
            }
            Self::List(list, human) => list.next().map(|tree| Reader::Tree(tree, *human)),
        }
    }

    fn left(&self) -> usize {
        match self {
            Self::Positional(_, length) => *length,
            Self::List(list, _) => list.len(),
        }
    }
}

impl<'de> SeqAccess<'de> for &mut Items<'_, 'de> {
    type Error = Malformed;

    #[inline]
    fn next_element_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<Option<T::Value>, Malformed> {
        match self.next() {
            Some(reader) => seed.deserialize(reader).map(Some),
            None => Ok(None),
        }
    }

    fn size_hint(&self) -> Option<usize> {
        Some(self.left())
    }
}

/// Entries of a map, or fields by their names.
pub(super) enum Entries<'a, 'de> {
    Positional(&'a mut Positional<'de>, usize),
    Map { rest: IntoIter<(Tree<'de>, Tree<'de>)>, value: Option<Tree<'de>>, human: bool },
}

impl<'a, 'de> Entries<'a, 'de> {
    pub(super) fn of_positional(positional: &'a mut Positional<'de>, length: usize) -> Self {
        Self::Positional(positional, length)
    }

    pub(super) fn of_map(map: Vec<(Tree<'de>, Tree<'de>)>, human: bool) -> Self {
        Self::Map { rest: map.into_iter(), value: None, human }
    }

    pub(super) fn read<V: Visitor<'de>>(mut self, visitor: V) -> Result<V::Value, Malformed> {
        self.begin()?;
        let value = visitor.visit_map(&mut self)?;
        self.end()?;
        Ok(value)
    }

    fn begin(&mut self) -> Result<(), Malformed> {
        match self {
            Self::Positional(positional, _) => positional.enter(),
            Self::Map { .. } => Ok(()),
        }
    }

    /// All of them were read.
    fn end(self) -> Result<(), Malformed> {
        match self {
            Self::Positional(positional, 0) => {
                positional.leave();
                Ok(())
            }
            Self::Map { rest, .. } if rest.len() == 0 => Ok(()),
            Self::Positional(..) | Self::Map { .. } => Err(Malformed::of("too many entries")),
        }
    }

    fn key(&mut self) -> Option<Reader<'_, 'de>> {
        match self {
            Self::Positional(positional, length) => {
                *length = length.checked_sub(1)?;
                Some(Reader::Positional(positional))
            }
            Self::Map { rest, value, human } => {
                let (key, next) = rest.next()?;
                *value = Some(next);
                Some(Reader::Tree(key, *human))
            }
        }
    }

    fn value(&mut self) -> Reader<'_, 'de> {
        match self {
            Self::Positional(positional, _) => Reader::Positional(positional),
            Self::Map { value, human, .. } => Reader::Tree(value.take().unwrap_or(Tree::Null), *human),
        }
    }
}

impl<'de> MapAccess<'de> for &mut Entries<'_, 'de> {
    type Error = Malformed;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>, Malformed> {
        match self.key() {
            Some(reader) => seed.deserialize(reader).map(Some),
            None => Ok(None),
        }
    }

    fn next_value_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<S::Value, Malformed> {
        seed.deserialize(self.value())
    }

    fn size_hint(&self) -> Option<usize> {
        match self {
            Entries::Positional(_, length) => Some(*length),
            Entries::Map { rest, .. } => Some(rest.len()),
        }
    }
}

/// A variant: which one, and what is in it.
pub(super) enum Variant<'a, 'de> {
    Positional(&'a mut Positional<'de>),
    Tree { name: Tree<'de>, content: Option<Tree<'de>>, human: bool },
}

impl<'a, 'de> Variant<'a, 'de> {
    pub(super) fn of_positional(positional: &'a mut Positional<'de>) -> Self {
        Self::Positional(positional)
    }

    /// A name, or a map from the name to what is in it.
    pub(super) fn of_tree(tree: Tree<'de>, human: bool) -> Result<Self, Malformed> {
        match tree {
            Tree::Text(_) | Tree::Key(_) => Ok(Self::Tree { name: tree, content: None, human }),
            Tree::Map(map) => {
                let [(name, content)] = <[_; 1]>::try_from(map).or_else(|_| unexpected())?;
                Ok(Self::Tree { name, content: Some(content), human })
            }
            _ => unexpected(),
        }
    }

    fn name(&mut self) -> Result<Reader<'a, 'de>, Malformed> {
        match self {
            Self::Positional(positional) => positional.take().map(Reader::Index),
            Self::Tree { name, human, .. } => Ok(Reader::Tree(std::mem::replace(name, Tree::Null), *human)),
        }
    }

    fn content(self) -> Result<Reader<'a, 'de>, Malformed> {
        match self {
            Self::Positional(positional) => Ok(Reader::Positional(positional)),
            Self::Tree { content: Some(content), human, .. } => Ok(Reader::Tree(content, human)),
            Self::Tree { content: None, .. } => unexpected(),
        }
    }
}

impl<'de> EnumAccess<'de> for Variant<'_, 'de> {
    type Error = Malformed;
    type Variant = Self;

    fn variant_seed<V: DeserializeSeed<'de>>(mut self, seed: V) -> Result<(V::Value, Self), Malformed> {
        let which = seed.deserialize(self.name()?)?;
        Ok((which, self))
    }
}

impl<'de> VariantAccess<'de> for Variant<'_, 'de> {
    type Error = Malformed;

    fn unit_variant(self) -> Result<(), Malformed> {
        match self {
            Self::Positional(_) | Self::Tree { content: None | Some(Tree::Null), .. } => Ok(()),
            Self::Tree { .. } => unexpected(),
        }
    }

    fn newtype_variant_seed<T: DeserializeSeed<'de>>(self, seed: T) -> Result<T::Value, Malformed> {
        seed.deserialize(self.content()?)
    }

    fn tuple_variant<V: Visitor<'de>>(self, length: usize, visitor: V) -> Result<V::Value, Malformed> {
        serde::Deserializer::deserialize_tuple(self.content()?, length, visitor)
    }

    fn struct_variant<V: Visitor<'de>>(
        self,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Malformed> {
        serde::Deserializer::deserialize_struct(self.content()?, "", fields, visitor)
    }
}
