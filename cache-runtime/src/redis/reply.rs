//! What the server answers, in the words of the protocol.

use bytes::Bytes;
use redis::Value;

use crate::fault::{Fault, Refusal};
use crate::store::{HEAD, Message, Position, Slot, Stamp, Token, VALUE_HEAD};

/// A string or nothing.
pub(crate) type Found = Result<Option<Bytes>, Fault>;

pub(crate) fn string(value: Value) -> Found {
    match value {
        Value::Nil => Ok(None),
        Value::BulkString(bytes) => Ok(Some(bytes.into())),
        other => Err(nonsense("a string", &other)),
    }
}

/// What stands at an entry's key.
pub(crate) fn slot(found: Option<Bytes>) -> Slot {
    found.map_or(Slot::Empty, sort)
}

/// The same, where the server looked at the key's type.
pub(crate) fn typed_slot(reply: Result<Value, Fault>) -> Result<Slot, Fault> {
    match reply {
        Err(Fault::Refused(Refusal::WrongType, _)) => Ok(Slot::Garbage(Vec::new())),
        reply => string(reply?).map(slot),
    }
}

fn sort(bytes: Bytes) -> Slot {
    let token = bytes.get(2..HEAD).and_then(|token| token.try_into().ok()).map(Token);
    match (&bytes[..], token) {
        ([b'L', b'0' | b'1', ..], Some(token)) if bytes.len() == HEAD => Slot::Lease(token),
        ([b'C', b'0' | b'1', ..], Some(token)) if bytes.len() == HEAD => Slot::CoolDown(token),
        ([b'V', b'0' | b'1', ..], Some(_)) if bytes.len() >= VALUE_HEAD => Slot::Value(bytes),
        _ => Slot::Garbage(bytes[..bytes.len().min(HEAD)].to_vec()),
    }
}

/// A group's stamp. What is no stamp is like a missing one.
pub(crate) fn stamp(found: &[u8]) -> Option<Stamp> {
    found.try_into().ok().map(Stamp)
}

/// The same, where it came beside other replies.
pub(crate) fn stamp_value(value: &Value) -> Option<Stamp> {
    match value {
        Value::BulkString(bytes) => stamp(bytes),
        _ => None,
    }
}

pub(crate) fn array(value: Value, what: &str) -> Result<Vec<Value>, Fault> {
    match value {
        Value::Array(values) => Ok(values),
        other => Err(nonsense(what, &other)),
    }
}

/// Exactly so many values.
pub(crate) fn fixed<const N: usize>(value: Value, what: &str) -> Result<[Value; N], Fault> {
    array(value, what)?.try_into().map_err(|values| nonsense(what, &Value::Array(values)))
}

/// Values that belong together two by two.
pub(crate) fn pairs(value: Value, what: &str) -> Result<Vec<(Value, Value)>, Fault> {
    match value {
        Value::Map(pairs) => Ok(pairs),
        Value::Nil => Ok(Vec::new()),
        other => {
            let mut values = array(other, what)?.into_iter();
            let mut pairs = Vec::with_capacity(values.len() / 2);
            while let (Some(first), Some(second)) = (values.next(), values.next()) {
                pairs.push((first, second));
            }
            Ok(pairs)
        }
    }
}

pub(crate) fn bytes(value: Value, what: &str) -> Result<Vec<u8>, Fault> {
    match value {
        Value::BulkString(bytes) => Ok(bytes),
        Value::SimpleString(text) => Ok(text.into_bytes()),
        other => Err(nonsense(what, &other)),
    }
}

/// Text; what is no UTF-8 in it is replaced.
pub(crate) fn text(value: Value, what: &str) -> Result<String, Fault> {
    let bytes = bytes(value, what)?;
    Ok(String::from_utf8(bytes).unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into_owned()))
}

pub(crate) fn number(value: &Value, what: &str) -> Result<u64, Fault> {
    let parsed = match value {
        Value::Int(number) => u64::try_from(*number).ok(),
        Value::BulkString(bytes) => str::from_utf8(bytes).ok().and_then(|text| text.parse().ok()),
        _ => None,
    };
    parsed.ok_or_else(|| nonsense(what, value))
}

/// A script's yes or no.
pub(crate) fn yes(value: &Value) -> Result<bool, Fault> {
    match value {
        Value::Int(1) => Ok(true),
        Value::Int(0) => Ok(false),
        other => Err(nonsense("yes or no", other)),
    }
}

/// `<millis>-<sequence>`.
pub(crate) fn position(text: &str) -> Option<Position> {
    let (millis, sequence) = text.split_once('-')?;
    Some(Position { millis: millis.parse().ok()?, sequence: sequence.parse().ok()? })
}

pub(crate) fn position_of(value: Value) -> Result<Position, Fault> {
    let text = text(value, "a position")?;
    position(&text).ok_or_else(|| Fault::Nonsense(format!("a position: {text}")))
}

/// A message of the bus: position, then fields.
pub(crate) fn message(value: Value) -> Result<Message, Fault> {
    let [position, fields] = fixed(value, "a message")?;
    let fields = pairs(fields, "a message's fields")?.into_iter();
    let fields = fields.map(|(name, value)| Ok((text(name, "a field's name")?, bytes(value, "a field")?)));
    Ok(Message { position: position_of(position)?, fields: fields.collect::<Result<_, Fault>>()? })
}

pub(crate) fn nonsense(what: &str, value: &Value) -> Fault {
    let mut shown = format!("{what}: {value:?}");
    shown.truncate(shown.floor_char_boundary(200));
    Fault::Nonsense(shown)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(bytes: &[u8], expected: &Slot) {
        assert_eq!(&slot(Some(Bytes::copy_from_slice(bytes))), expected);
    }

    #[test]
    fn what_stands_in_a_slot_is_told_by_its_first_bytes() {
        let token = Token(*b"0123456789abcdef");
        check(b"L00123456789abcdef", &Slot::Lease(token));
        check(b"L10123456789abcdef", &Slot::Lease(token));
        check(b"C00123456789abcdef", &Slot::CoolDown(token));
        let value = b"V00123456789abcdef\0\0\0\0\0\0\0\0".to_vec();
        check(&value, &Slot::Value(value.clone().into()));
        assert_eq!(slot(None), Slot::Empty);
    }

    #[test]
    fn whatever_else_stands_there_is_garbage() {
        for bytes in
            ["", "L", "L0", "L00123456789abcde", "V00123456789abcdef\0\0\0\0\0\0\0", "hello", "l00123456789abcdef"]
        {
            let head = bytes.as_bytes()[..bytes.len().min(HEAD)].to_vec();
            check(bytes.as_bytes(), &Slot::Garbage(head));
        }
        check(b"L00123456789abcdefg", &Slot::Garbage(b"L00123456789abcdef".to_vec()));
        let wrong = Err(Fault::Refused(Refusal::WrongType, String::new()));
        assert_eq!(typed_slot(wrong), Ok(Slot::Garbage(Vec::new())));
        assert!(typed_slot(Ok(Value::Int(3))).is_err());
    }

    #[test]
    fn a_stamp_is_16_bytes_or_missing() {
        assert_eq!(stamp_value(&Value::BulkString(vec![7; 16])), Some(Stamp([7; 16])));
        for other in [Value::Nil, Value::Int(1), Value::BulkString(vec![7; 15]), Value::BulkString(vec![7; 17])] {
            assert_eq!(stamp_value(&other), None);
        }
    }

    #[test]
    fn nonsense_is_told_shortly() {
        let Err(Fault::Nonsense(told)) = array(Value::SimpleString("\u{e4}".repeat(1_000)), "a list") else {
            panic!("a string is no list")
        };
        assert!(told.starts_with("a list: ") && told.len() <= 200, "{told}");
        assert!(number(&Value::Int(-1), "a number").is_err());
        assert_eq!(position("12-3"), Some(Position { millis: 12, sequence: 3 }));
        assert_eq!(position("12"), None);
    }
}
