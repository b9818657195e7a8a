//! What stands at keys, and until when.

use std::collections::BTreeMap;

use super::{Millis, Redis, Refusal, Reply, Stream};

/// Names and values.
pub type Fields = BTreeMap<Vec<u8>, Vec<u8>>;

/// What stands at a key.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// Bytes.
    String(Vec<u8>),
    /// Fields.
    Hash(Fields),
    /// Messages.
    Stream(Stream),
}

/// A value and its end.
#[derive(Clone, Debug, PartialEq)]
pub struct Item {
    /// What it is.
    pub value: Value,
    /// When it is over.
    pub ends: Option<Millis>,
}

impl Item {
    pub(crate) fn is_over(&self, now: Millis) -> bool {
        self.ends.is_some_and(|ends| now > ends)
    }
}

/// Why a command was not done.
pub(super) type Refused = Reply;

pub(super) fn wrong_type() -> Refused {
    Reply::Error("WRONGTYPE Operation against a key holding the wrong kind of value".to_owned())
}

/// What a write needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Needs {
    Memory,
    Nothing,
}

impl Redis {
    /// Whether a write may be done.
    pub(super) fn may_write(&mut self, needs: Needs) -> Result<(), Refused> {
        let refused = |text: &str| Err(Reply::Error(text.to_owned()));
        match self.refusal {
            _ if self.is_dirty => Ok(()),
            Refusal::NoMemory if needs == Needs::Memory => {
                refused("OOM command not allowed when used memory > 'maxmemory'.")
            }
            Refusal::NoWrites => refused("MISCONF Redis is configured to save RDB snapshots, but cannot"),
            Refusal::ReadOnly => refused("READONLY You can't write against a read only replica."),
            _ => {
                self.is_dirty = true;
                Ok(())
            }
        }
    }

    /// What stands there, unless it is over.
    pub(super) fn item(&mut self, name: &[u8]) -> Option<&mut Item> {
        let now = self.now;
        if self.keys.get(name)?.is_over(now) {
            self.keys.remove(name);
            return None;
        }
        self.keys.get_mut(name)
    }

    pub(super) fn kind(&mut self, name: &[u8]) -> &'static str {
        match self.item(name).map(|item| &item.value) {
            None => "none",
            Some(Value::String(_)) => "string",
            Some(Value::Hash(_)) => "hash",
            Some(Value::Stream(_)) => "stream",
        }
    }

    pub(super) fn get(&mut self, name: &[u8]) -> Result<Option<Vec<u8>>, Refused> {
        match self.item(name).map(|item| &item.value) {
            None => Ok(None),
            Some(Value::String(bytes)) => Ok(Some(bytes.clone())),
            Some(_) => Err(wrong_type()),
        }
    }

    /// The bytes up to and with this index.
    pub(super) fn get_range(&mut self, name: &[u8], last: usize) -> Result<Vec<u8>, Refused> {
        let mut bytes = self.get(name)?.unwrap_or_default();
        bytes.truncate(last + 1);
        Ok(bytes)
    }

    pub(super) fn set(&mut self, name: &[u8], bytes: &[u8], life: Option<Millis>) -> Result<(), Refused> {
        self.may_write(Needs::Memory)?;
        let ends = life.map(|life| self.now + life);
        self.keys.insert(name.to_vec(), Item { value: Value::String(bytes.to_vec()), ends });
        Ok(())
    }

    /// Overwrites bytes in the middle.
    pub(super) fn set_range(&mut self, name: &[u8], at: usize, bytes: &[u8]) -> Result<(), Refused> {
        self.may_write(Needs::Memory)?;
        match self.item(name).map(|item| &mut item.value) {
            Some(Value::String(old)) => {
                if old.len() < at + bytes.len() {
                    old.resize(at + bytes.len(), 0);
                }
                old[at..at + bytes.len()].copy_from_slice(bytes);
                Ok(())
            }
            Some(_) => Err(wrong_type()),
            None => {
                let mut new = vec![0; at];
                new.extend(bytes);
                self.keys.insert(name.to_vec(), Item { value: Value::String(new), ends: None });
                Ok(())
            }
        }
    }

    /// How many of these were there.
    pub(super) fn unlink<'a>(&mut self, names: impl IntoIterator<Item = &'a [u8]>) -> Result<usize, Refused> {
        self.may_write(Needs::Nothing)?;
        Ok(names.into_iter().filter(|name| self.item(name).is_some() && self.keys.remove(*name).is_some()).count())
    }

    /// Sets the end, only to a later one if asked so. Whether it did.
    pub(super) fn expire(&mut self, name: &[u8], life: Millis, only_later: bool) -> Result<bool, Refused> {
        self.may_write(Needs::Nothing)?;
        let ends = self.now + life;
        let Some(item) = self.item(name) else { return Ok(false) };
        // What has no end ends later than anything.
        if only_later && item.ends.is_none_or(|old| old >= ends) {
            return Ok(false);
        }
        item.ends = Some(ends);
        Ok(true)
    }

    pub(super) fn hash(&mut self, name: &[u8]) -> Result<Option<&mut Fields>, Refused> {
        match self.item(name).map(|item| &mut item.value) {
            None => Ok(None),
            Some(Value::Hash(fields)) => Ok(Some(fields)),
            Some(_) => Err(wrong_type()),
        }
    }

    pub(super) fn hget(&mut self, name: &[u8], field: &[u8]) -> Result<Option<Vec<u8>>, Refused> {
        Ok(self.hash(name)?.and_then(|fields| fields.get(field).cloned()))
    }

    /// Whether the field is new.
    pub(super) fn hset(&mut self, name: &[u8], field: &[u8], value: &[u8]) -> Result<bool, Refused> {
        self.may_write(Needs::Memory)?;
        if self.hash(name)?.is_none() {
            self.keys.insert(name.to_vec(), Item { value: Value::Hash(BTreeMap::new()), ends: None });
        }
        let fields = self.hash(name)?.expect("it is there by now");
        Ok(fields.insert(field.to_vec(), value.to_vec()).is_none())
    }

    /// Whether the field was there.
    pub(super) fn hdel(&mut self, name: &[u8], field: &[u8]) -> Result<bool, Refused> {
        self.may_write(Needs::Nothing)?;
        let Some(fields) = self.hash(name)? else { return Ok(false) };
        let was = fields.remove(field).is_some();
        if fields.is_empty() {
            self.keys.remove(name);
        }
        Ok(was)
    }

    pub(super) fn stream(&mut self, name: &[u8]) -> Result<Option<&mut Stream>, Refused> {
        match self.item(name).map(|item| &mut item.value) {
            None => Ok(None),
            Some(Value::Stream(stream)) => Ok(Some(stream)),
            Some(_) => Err(wrong_type()),
        }
    }
}
