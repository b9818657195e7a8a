//! The texts that an event's JSON names.

use cache_spec::pattern::{Pattern, PatternPiece};
use cache_spec::template::Placeholder;
use cache_spec::value::ValueWriter;
use serde_json::value::RawValue;

use crate::key::{HashKey, hashed};
use crate::routes::json::{Fields, Json, Unusable};

/// An event as JSON.
pub(super) struct EventJson<'a> {
    fields: Result<Vec<(String, &'a RawValue)>, Unusable>,
}

impl<'a> EventJson<'a> {
    /// Reads an event's data: an object, or nothing at all (`null`) for an event without fields.
    pub(super) fn read(json: &'a [u8]) -> Self {
        let fields = match json.trim_ascii() {
            b"" | b"null" => Ok(Vec::new()),
            json => serde_json::from_slice(json).map(|Fields(fields)| fields).map_err(|_| Unusable::NotAnObject),
        };
        Self { fields }
    }

    /// The text that this event names by `pattern`.
    pub(super) fn text(&self, pattern: &Pattern, hash_key: &HashKey) -> Result<String, Unusable> {
        let mut text = String::with_capacity(48);
        for piece in pattern.pieces() {
            match piece {
                PatternPiece::Literal(literal) => text.push_str(literal),
                PatternPiece::Any => text.push('*'),
                PatternPiece::Value(number) => {
                    let placeholder = &pattern.placeholders()[*number];
                    let value = self.value(placeholder)?;
                    write(&value, placeholder, hash_key, &mut text);
                }
            }
        }
        // What is no JSON might have been any event.
        self.fields.as_ref().map_err(Clone::clone)?;
        Ok(text)
    }

    fn value(&self, placeholder: &Placeholder) -> Result<Json, Unusable> {
        let fields = self.fields.as_ref().map_err(Clone::clone)?;
        let missing = || Unusable::Missing(placeholder.path().to_owned());
        let mut found = fields.iter().filter(|(name, _)| name == placeholder.root()).map(|(_, value)| *value);
        let root = found.next().ok_or_else(missing)?;
        if found.next().is_some() {
            return Err(Unusable::Twice(placeholder.root().to_owned()));
        }
        let root = Json::read(root)?;
        placeholder.fields().iter().try_fold(root, |value, segment| value.into_segment(segment).ok_or_else(missing))
    }
}

fn write(value: &Json, placeholder: &Placeholder, hash_key: &HashKey, text: &mut String) {
    if placeholder.hashed() {
        let mut whole = String::new();
        value.write(&mut ValueWriter::new(&mut whole));
        text.push_str(&hashed(&whole, hash_key));
    } else {
        value.write(&mut ValueWriter::new(text));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECRET: HashKey = [7; 32];

    #[track_caller]
    fn check(pattern: &str, json: &str, text: &Result<&str, Unusable>) {
        let pattern = Pattern::parse(pattern).expect("no mistakes");
        let rendered = EventJson::read(json.as_bytes()).text(&pattern, &SECRET);
        assert_eq!(rendered.as_deref(), text.as_ref().copied(), "{json}");
    }

    #[test]
    fn values_stand_where_the_pattern_says() {
        let event = r#"{"tenant":42,"id":7,"order":{"id":9,"place":[1,"x"]}}"#;
        check("user:<tenant>:<id>", event, &Ok("user:42:7"));
        check("user:<tenant>:*", event, &Ok("user:42:*"));
        check("order:<order.id>/<order.place.1>", event, &Ok("order:9/x"));
        check("new:<order.id.0>", event, &Ok("new:9"));
        check("less<<:<id>", event, &Ok("less<:7"));
        check("all:*", "null", &Ok("all:*"));
        check("all:*", "", &Ok("all:*"));
        check("all:*", " {} ", &Ok("all:*"));
    }

    #[test]
    fn what_names_no_key_says_why() {
        check("user:<id>", "{}", &Err(Unusable::Missing("id".to_owned())));
        check("user:<id>", "null", &Err(Unusable::Missing("id".to_owned())));
        check("user:<order.id>", r#"{"order":7}"#, &Err(Unusable::Missing("order.id".to_owned())));
        check("user:<id>", r#"{"id":1,"id":2}"#, &Err(Unusable::Twice("id".to_owned())));
        check("user:<id>", "[1]", &Err(Unusable::NotAnObject));
        check("all:*", "{\"id\":", &Err(Unusable::NotAnObject));
        check("all:*", "\u{0}", &Err(Unusable::NotAnObject));
    }

    #[test]
    fn a_hashed_part_shows_its_digest_only() {
        let digest = hashed("a%40b", &SECRET);
        check("user:<mail:hash>", r#"{"mail":"a@b"}"#, &Ok(&format!("user:{digest}")));
    }
}
