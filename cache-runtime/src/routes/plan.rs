//! What an invalidation is about: texts, and their names in Redis.

use std::any::Any;

use crate::function::Function;
use crate::names;
use crate::routes::json::Unusable;

/// An event that has happened.
#[derive(Clone, Copy)]
pub(crate) struct Happened<'a> {
    pub(crate) name: &'a str,
    /// Its data: a JSON object, or `null`.
    pub(crate) json: &'a [u8],
    /// The event itself, where its type is known.
    pub(crate) value: Option<&'a dyn Any>,
}

/// A key or group that becomes invalid.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Named {
    /// As events and fences know it.
    pub(crate) text: String,
    /// What becomes of it in Redis: the entries of every live version, or the stamp of the group.
    pub(crate) names: Vec<String>,
    /// What every key of its function begins with.
    pub(crate) prefix: String,
}

/// Everything that an invalidation is about.
#[derive(Clone, Debug, Default)]
pub(crate) struct Plan {
    pub(crate) named: Vec<Named>,
    /// Texts that others cannot render from the event's JSON.
    pub(crate) spelled: Vec<String>,
    /// Functions of this process of which something becomes invalid; once for each text.
    pub(crate) functions: Vec<&'static Function>,
    /// Why the event's JSON names no key of some function.
    pub(crate) unusable: Vec<Unusable>,
    /// The version of the routes that this was made with.
    pub(crate) version: Option<String>,
}

impl Named {
    /// The key or group with this text, in these versions. A `*` stands in groups only: values are encoded.
    pub(super) fn new(app: &str, text: String, prefix: &str, versions: impl IntoIterator<Item = u32>) -> Self {
        let names = if is_group(&text) {
            vec![names::stamp(app, &text)]
        } else {
            versions.into_iter().map(|version| names::entry(app, version, &text)).collect()
        };
        Self { text, names, prefix: prefix.to_owned() }
    }

    fn merge(&mut self, other: Self) {
        for name in other.names {
            if !self.names.contains(&name) {
                self.names.push(name);
            }
        }
    }
}

pub(super) fn is_group(text: &str) -> bool {
    text.contains('*')
}

impl Plan {
    /// Adds a text, or its names to those of the same text in another version or function.
    pub(crate) fn add(&mut self, named: Named) {
        match self.named.iter_mut().find(|known| known.text == named.text) {
            Some(known) => known.merge(named),
            None => self.named.push(named),
        }
    }

    pub(super) fn spell(&mut self, text: &str) {
        if !self.spelled.iter().any(|spelled| spelled == text) {
            self.spelled.push(text.to_owned());
        }
    }

    /// Every text that becomes invalid.
    pub(crate) fn texts(&self) -> impl Iterator<Item = &str> {
        self.named.iter().map(|named| named.text.as_str())
    }
}

impl std::fmt::Debug for Happened<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Happened").field("name", &self.name).finish_non_exhaustive()
    }
}
