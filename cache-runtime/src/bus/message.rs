//! A message of the bus.
//!
//! | field | value |
//! |---|---|
//! | `event`, `data` | the name of an event and its JSON object; several pairs, if several have happened |
//! | `keys` | JSON array of the texts of keys and groups, e.g. `["user:42:7","user:42:*"]` |
//! | `by` | the process that published it |
//! | `covered` | JSON array of the full names that it unlinked before |
//! | `all` | everything that is kept in any process |
//!
//! `XADD shop:bus '*' event UserUpdated data '{"tenant":42,"id":7}'` is all that a publisher in another language does.

use std::collections::BTreeSet;

use crate::store::LONGEST_MESSAGE;

/// What a message says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Notice {
    /// Names and JSON.
    pub(crate) events: Vec<(String, Vec<u8>)>,
    pub(crate) keys: Vec<String>,
    pub(crate) by: Option<String>,
    pub(crate) covered: BTreeSet<String>,
    pub(crate) all: bool,
    /// What cannot be understood, if anything.
    pub(crate) flaw: Option<Flaw>,
}

/// Why a message, or a part of it, is not understood.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Flaw {
    /// It says nothing.
    Empty,
    /// It is longer than any message.
    Long,
    /// `keys` is no JSON array of texts.
    Keys,
    /// Not every `event` has its `data`.
    Data,
}

impl Notice {
    /// Reads the fields of a message.
    pub(crate) fn read<'a, N: AsRef<str> + 'a>(fields: &'a [(N, Vec<u8>)]) -> Self {
        let mut notice = Self::default();
        let (mut names, mut data) = (Vec::new(), Vec::new());
        for (name, value) in fields {
            match name.as_ref() {
                "event" => names.push(String::from_utf8_lossy(value).into_owned()),
                "data" => data.push(value.as_slice()),
                "keys" => match serde_json::from_slice::<Vec<String>>(value) {
                    Ok(keys) => notice.keys.extend(keys),
                    Err(_) => notice.flaw = Some(Flaw::Keys),
                },
                "by" => notice.by = Some(String::from_utf8_lossy(value).into_owned()),
                // What is not known to be covered is unlinked once more.
                "covered" => notice.covered.extend(serde_json::from_slice::<Vec<String>>(value).unwrap_or_default()),
                "all" => notice.all = true,
                // Written by the script that reads: what stands in place of a message that is too long to be read.
                "long" => notice.flaw = Some(Flaw::Long),
                _of_a_later_version => {}
            }
        }
        let length: usize = fields.iter().map(|(name, value)| name.as_ref().len() + value.len()).sum();
        if length > LONGEST_MESSAGE {
            notice.flaw = Some(Flaw::Long);
        }
        notice.pair(names, &data);
        notice
    }

    fn pair(&mut self, names: Vec<String>, data: &[&[u8]]) {
        if names.is_empty() && self.keys.is_empty() && !self.all {
            self.flaw = self.flaw.or(Some(Flaw::Empty));
        }
        // Events without fields need no data.
        let has_data = names.len() == data.len();
        if !has_data && !data.is_empty() {
            self.flaw = self.flaw.or(Some(Flaw::Data));
        }
        let json = |at: usize| if has_data { data[at].to_vec() } else { b"null".to_vec() };
        self.events = names.into_iter().enumerate().map(|(at, name)| (name, json(at))).collect();
    }

    /// The fields of the message that says this.
    pub(crate) fn fields(&self) -> Vec<(&'static str, Vec<u8>)> {
        let mut fields = Vec::new();
        for (name, json) in &self.events {
            fields.push(("event", name.as_bytes().to_vec()));
            fields.push(("data", json.clone()));
        }
        if !self.keys.is_empty() {
            fields.push(("keys", array(&self.keys)));
        }
        if self.all {
            fields.push(("all", b"1".to_vec()));
        }
        if let Some(by) = &self.by {
            fields.push(("by", by.as_bytes().to_vec()));
        }
        if !self.covered.is_empty() {
            fields.push(("covered", array(&self.covered.iter().collect::<Vec<_>>())));
        }
        fields
    }
}

fn array(texts: &impl serde::Serialize) -> Vec<u8> {
    serde_json::to_vec(texts).expect("an array of text is JSON")
}

impl std::fmt::Display for Flaw {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Empty => f.write_str("it has no field `event`, `keys` or `all`"),
            Self::Long => write!(f, "it is longer than {LONGEST_MESSAGE} bytes"),
            Self::Keys => f.write_str("its `keys` are no JSON array of texts"),
            Self::Data => f.write_str("not every `event` of it has its `data`"),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[track_caller]
    fn check(fields: &[(&str, &str)], notice: &Notice) {
        let fields: Vec<_> = fields.iter().map(|(name, value)| (*name, value.as_bytes().to_vec())).collect();
        assert_eq!(Notice::read(&fields), *notice);
    }

    fn event(name: &str, json: &str) -> Vec<(String, Vec<u8>)> {
        vec![(name.to_owned(), json.as_bytes().to_vec())]
    }

    #[test]
    fn foreign_publishers_need_two_words() {
        let notice = Notice { events: event("UserUpdated", "{\"id\":7}"), ..Notice::default() };
        check(&[("event", "UserUpdated"), ("data", "{\"id\":7}")], &notice);
        check(&[("data", "{\"id\":7}"), ("event", "UserUpdated"), ("more", "x")], &notice);
        check(&[("event", "Purged")], &Notice { events: event("Purged", "null"), ..Notice::default() });
        check(&[("keys", "[\"a:1\"]")], &Notice { keys: vec!["a:1".to_owned()], ..Notice::default() });
        check(&[("all", "1")], &Notice { all: true, ..Notice::default() });
    }

    #[test]
    fn what_is_not_understood_is_said() {
        check(&[], &Notice { flaw: Some(Flaw::Empty), ..Notice::default() });
        check(&[("data", "{}")], &Notice { flaw: Some(Flaw::Empty), ..Notice::default() });
        check(&[("keys", "user:42:7")], &Notice { flaw: Some(Flaw::Keys), ..Notice::default() });
        check(&[("keys", "[7]")], &Notice { flaw: Some(Flaw::Keys), ..Notice::default() });
        let events = [event("A", "null"), event("B", "null")].concat();
        check(
            &[("event", "A"), ("event", "B"), ("data", "{}")],
            &Notice { events, flaw: Some(Flaw::Data), ..Notice::default() },
        );
        check(&[("covered", "x"), ("all", "1")], &Notice { all: true, ..Notice::default() });
        let long = vec![("event", vec![b'a'; LONGEST_MESSAGE + 1])];
        assert_eq!(Notice::read(&long).flaw, Some(Flaw::Long));
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(
            events in proptest::collection::vec((".{0,8}", any::<Vec<u8>>()), 0..4),
            keys in proptest::collection::vec(".{0,8}", 0..4),
            covered in proptest::collection::btree_set(".{0,8}", 0..4),
            by in proptest::option::of("[0-9a-f]{16}"),
            all: bool,
        ) {
            let flaw = (events.is_empty() && keys.is_empty() && !all).then_some(Flaw::Empty);
            let notice = Notice { events, keys, by, covered, all, flaw };
            prop_assert_eq!(Notice::read(&notice.fields()), notice);
        }

        #[test]
        fn any_fields_are_no_panic(
            fields in proptest::collection::vec(("(event|data|keys|by|covered|all|x)", any::<Vec<u8>>()), 0..8)
        ) {
            Notice::read(&fields);
        }
    }
}
