//! A JSON value as it was written: numbers digit by digit (128 bits do not fit elsewhere), fields in their order.

use std::fmt;

use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;

use cache_spec::value::{Items, ValueWriter};

/// A value that may stand in a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Json {
    Null,
    Boolean(bool),
    /// An integer, without leading zeros.
    Integer(String),
    Text(String),
    Array(Vec<Json>),
    Object(Vec<(String, Json)>),
}

/// Why an event's JSON names no key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Unusable {
    /// No JSON object.
    NotAnObject,
    /// Nothing stands at this path.
    Missing(String),
    /// More than one thing stands at this path.
    Twice(String),
    /// No number like this stands in keys.
    Number(String),
    /// More levels than any key has.
    Deep,
}

impl fmt::Display for Unusable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotAnObject => f.write_str("its data is no JSON object"),
            Self::Missing(path) => write!(f, "it has no field `{path}` (`null` stands for `None`)"),
            Self::Twice(path) => write!(f, "it has the field `{path}` twice"),
            Self::Number(number) => write!(f, "`{number}` is no integer, and no other number stands in a key"),
            Self::Deep => write!(f, "it is nested more than {DEEPEST} levels deep"),
        }
    }
}

/// More levels than any type in a key has; a stack holds them.
const DEEPEST: usize = 16;

/// The fields of a JSON object, in the order they stand in.
pub(super) struct Fields<'a>(pub(super) Vec<(String, &'a RawValue)>);

impl<'de> Deserialize<'de> for Fields<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(FieldsVisitor)
    }
}

struct FieldsVisitor;

impl<'de> Visitor<'de> for FieldsVisitor {
    type Value = Fields<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut fields = Vec::new();
        while let Some(field) = map.next_entry()? {
            fields.push(field);
        }
        Ok(Fields(fields))
    }
}

impl Json {
    /// Reads a value that is known to be well-formed.
    pub(super) fn read(raw: &RawValue) -> Result<Self, Unusable> {
        Self::read_at(raw.get(), 0)
    }

    fn read_at(raw: &str, depth: usize) -> Result<Self, Unusable> {
        if depth > DEEPEST {
            return Err(Unusable::Deep);
        }
        match raw.as_bytes().first() {
            Some(b'n') => Ok(Self::Null),
            Some(b't') => Ok(Self::Boolean(true)),
            Some(b'f') => Ok(Self::Boolean(false)),
            Some(b'"') => parsed(raw).map(Self::Text),
            Some(b'[') => {
                let items = parsed::<Vec<&RawValue>>(raw)?.into_iter();
                items.map(|item| Self::read_at(item.get(), depth + 1)).collect::<Result<_, _>>().map(Self::Array)
            }
            Some(b'{') => {
                let fields = parsed::<Fields<'_>>(raw)?.0.into_iter();
                let field = |(name, value): (_, &RawValue)| Ok((name, Self::read_at(value.get(), depth + 1)?));
                fields.map(field).collect::<Result<_, _>>().map(Self::Object)
            }
            _ => integer(raw).map(Self::Integer).ok_or_else(|| Unusable::Number(raw.to_owned())),
        }
    }

    /// What stands at `segment` of this: a field, an item, or the one field of a newtype, which JSON does not show.
    pub(super) fn into_segment(self, segment: &str) -> Option<Self> {
        match (self, segment.parse::<usize>()) {
            (Self::Object(fields), Err(_)) => {
                fields.into_iter().find(|(name, _)| name == segment).map(|(_, value)| value)
            }
            (Self::Array(items), Ok(index)) => items.into_iter().nth(index),
            (newtype, Ok(0)) => Some(newtype),
            (_, _) => None,
        }
    }

    /// Writes this as [`KeyPart`](crate::KeyPart) writes the value that serde made it of.
    pub(super) fn write(&self, text: &mut ValueWriter<'_>) {
        match self {
            Self::Null => text.none(),
            Self::Boolean(value) => text.boolean(*value),
            Self::Integer(digits) => text.text(digits),
            Self::Text(value) => text.text(value),
            Self::Array(values) => text.tuple(|items| write_all(values, items)),
            Self::Object(fields) => match (self.as_variant(), fields.as_slice()) {
                (Some((name, content)), _) => text.variant(name, |items| content.write_fields(items)),
                // A struct with one field is a newtype with a name inside.
                (None, [(_, value)]) => value.write(text),
                (None, fields) => text.tuple(|items| write_all(fields.iter().map(|(_, value)| value), items)),
            },
        }
    }

    /// A variant with fields, in serde's external tagging: `{"Name": ..}`. Names of variants are capitalised, those of
    /// fields are not.
    fn as_variant(&self) -> Option<(&str, &Self)> {
        match self {
            Self::Object(fields) => match fields.as_slice() {
                [(name, content)] if name.starts_with(char::is_uppercase) => Some((name, content)),
                _ => None,
            },
            _ => None,
        }
    }

    fn write_fields(&self, items: &mut Items<'_>) {
        match self {
            Self::Array(values) => write_all(values, items),
            Self::Object(fields) if self.as_variant().is_none() => {
                write_all(fields.iter().map(|(_, value)| value), items);
            }
            one => one.write(&mut items.item()),
        }
    }
}

fn write_all<'a>(values: impl IntoIterator<Item = &'a Json>, items: &mut Items<'_>) {
    for value in values {
        value.write(&mut items.item());
    }
}

fn parsed<'a, T: Deserialize<'a>>(raw: &'a str) -> Result<T, Unusable> {
    serde_json::from_str(raw).map_err(|_| Unusable::NotAnObject)
}

/// More digits than any integer has.
const DIGITS: usize = 40;

/// The digits of a number that is a whole one, however it is written: `42`, `42.0`, `4.2e1`, `-0`.
fn integer(number: &str) -> Option<String> {
    let (sign, unsigned) = number.strip_prefix('-').map_or(("", number), |rest| ("-", rest));
    let (mantissa, exponent) = unsigned.split_once(['e', 'E']).unwrap_or((unsigned, "0"));
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let shift = exponent.parse::<i32>().ok()?.checked_sub(i32::try_from(fraction.len()).ok()?)?;
    let mut digits = format!("{whole}{fraction}");
    if let Ok(zeros) = usize::try_from(shift) {
        digits.extend(std::iter::repeat_n('0', zeros.min(DIGITS + 1)));
    } else {
        let whole = digits.len().saturating_sub(shift.unsigned_abs() as usize);
        if digits.split_off(whole).contains(|digit| digit != '0') {
            return None;
        }
    }
    match digits.trim_start_matches('0') {
        "" => Some("0".to_owned()),
        digits if digits.len() <= DIGITS => Some(format!("{sign}{digits}")),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(json: &str, text: &str) {
        let raw: &RawValue = serde_json::from_str(json).expect("JSON");
        let mut out = String::new();
        Json::read(raw).expect("usable").write(&mut ValueWriter::new(&mut out));
        assert_eq!(out, text, "{json}");
    }

    #[track_caller]
    fn check_unusable(json: &str, why: &Unusable) {
        let raw: &RawValue = serde_json::from_str(json).expect("JSON");
        assert_eq!(Json::read(raw).as_ref(), Err(why), "{json}");
    }

    #[test]
    fn plain_values() {
        check("42", "42");
        check("-7", "-7");
        check("340282366920938463463374607431768211455", "340282366920938463463374607431768211455");
        check("true", "true");
        check("\"a b\"", "a%20b");
        check("\"\\u00e9\\n\"", "%C3%A9%0A");
        check("null", "!");
        check("[1,\"a,b\",[null]]", "(1,a%2Cb,(!))");
        check("[]", "");
    }

    #[test]
    fn numbers_and_text_of_the_same_digits_are_the_same_text() {
        check("\"42\"", "42");
        check("42.0", "42");
        check("4.2e1", "42");
        check("420E-1", "42");
        check("-0", "0");
        check("0.0e5", "0");
        check("10", "10");
    }

    #[test]
    fn numbers_that_stand_in_no_key_are_refused() {
        for number in ["1.5", "1e-1", "1e40", "-1e999999999", "1e99999999999999"] {
            check_unusable(number, &Unusable::Number(number.to_owned()));
        }
    }

    #[test]
    fn variants_are_tagged_from_outside() {
        check("\"All\"", "All");
        check("{\"Of\":\"x\"}", "Of(x)");
        check("{\"Of\":null}", "Of(!)");
        check("{\"Between\":[1,null]}", "Between(1,!)");
        check("{\"Named\":{\"low\":1,\"high\":2}}", "Named(1,2)");
        check("{\"Outer\":{\"Inner\":1}}", "Outer(Inner(1))");
        check("{\"Outer\":\"Inner\"}", "Outer(Inner)");
    }

    #[test]
    fn fields_stand_in_the_order_they_were_written_in() {
        check("{\"b\":1,\"a\":2}", "(1,2)");
    }

    #[test]
    fn a_struct_with_one_field_is_what_it_holds() {
        check("{\"b\":1}", "1");
        check("{\"b\":null}", "!");
        check("{\"b\":{\"c\":{\"d\":\"x\"}}}", "x");
        check("{\"b\":[1,2]}", "(1,2)");
        check("{\"b\":{\"Of\":1}}", "Of(1)");
        check("{\"Of\":{\"b\":1}}", "Of(1)");
        check("[{\"b\":1},{\"b\":2}]", "(1,2)");
    }

    #[test]
    fn depth_is_limited() {
        let nested = |depth| format!("{}1{}", "[".repeat(depth), "]".repeat(depth));
        check(&nested(DEEPEST), &nested(DEEPEST).replace('[', "(").replace(']', ")"));
        check_unusable(&nested(DEEPEST + 1), &Unusable::Deep);
        check_unusable(&nested(100), &Unusable::Deep);
    }
}
