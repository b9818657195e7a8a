//! One string in the place of another, if that still stands there: `SET .. IFEQ`, which some servers have.
//!
//! What a server says of its version, to a question that is asked with each connection anyway, is enough to try it: one
//! that has none of it is not asked for what it would refuse. What it answers decides: behind a proxy, or after a slot has
//! moved, another server may answer than the one that has told its version.

use redis::Value;

use crate::fault::{Fault, Refusal};
use crate::redis::packed::Packed;
use crate::redis::reply;

/// The first versions that have it, by the names under which servers tell them. What is Valkey tells of a Redis too, the
/// one that it came from.
const FIRST: [(&str, (u32, u32)); 2] = [("redis_version:", (8, 4)), ("valkey_version:", (8, 1))];

/// One string, what takes its place, and for how many milliseconds.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Swap<'a> {
    pub(crate) key: &'a str,
    pub(crate) old: &'a [u8],
    pub(crate) new: &'a [u8],
    /// Decimal.
    pub(crate) life: &'a [u8],
}

impl Swap<'_> {
    pub(crate) fn add_to(self, packed: &mut Packed) {
        packed.add([b"SET", self.key.as_bytes(), self.new, b"PX", self.life, b"IFEQ", self.old]);
    }
}

/// Whether a server says, in what `INFO server` has told, that it has it.
pub(crate) fn is_told(info: &str) -> bool {
    info.lines().any(|line| {
        FIRST.iter().any(|(name, first)| line.strip_prefix(name).and_then(version).is_some_and(|told| told >= *first))
    })
}

/// The first two numbers of a version.
fn version(text: &str) -> Option<(u32, u32)> {
    let mut numbers = text.trim_end().split('.').map(|number| number.parse().ok());
    Some((numbers.next()??, numbers.next()??))
}

/// Whether a server has answered that it does not have it. It says so in words of its own.
pub(crate) fn is_unknown(fault: &Fault) -> bool {
    matches!(fault, Fault::Refused(Refusal::Other, _))
}

/// What became of one.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Swapped {
    Done,
    /// For sure it did not happen: something else stands there, there is no room, or the server does not have it.
    Not,
    /// Nobody knows, or nothing that writes would happen.
    Fault(Fault),
}

impl From<Result<Value, Fault>> for Swapped {
    fn from(reply: Result<Value, Fault>) -> Self {
        match reply {
            Ok(Value::Okay) => Self::Done,
            Ok(Value::Nil) | Err(Fault::Refused(Refusal::OutOfMemory | Refusal::WrongType | Refusal::Other, _)) => {
                Self::Not
            }
            Ok(other) => Self::Fault(reply::nonsense("a swap", &other)),
            Err(fault) => Self::Fault(fault),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(lines: &[&str], expected: bool) {
        assert_eq!(is_told(&format!("# Server\r\n{}\r\nos:Linux\r\n", lines.join("\r\n"))), expected, "{lines:?}");
    }

    #[test]
    fn a_server_tells_by_its_version_whether_it_has_it() {
        for old in ["7.0.15", "8.0.6", "8.3.9", "8", "", "unstable", "-8.4", "8.x.1"] {
            check(&[&format!("redis_version:{old}")], false);
        }
        for new in ["8.4.0", "8.10.1", "9.0.0", "8.4"] {
            check(&[&format!("redis_version:{new}")], true);
        }
        check(&["redis_version:7.2.4", "server_name:valkey", "valkey_version:8.0.2"], false);
        check(&["redis_version:7.2.4", "server_name:valkey", "valkey_version:8.1.0"], true);
        check(&[], false);
    }

    #[test]
    fn what_surely_did_not_happen_may_be_tried_otherwise() {
        let refused = |refusal| Swapped::from(Err(Fault::Refused(refusal, String::new())));
        assert_eq!(Swapped::from(Ok(Value::Okay)), Swapped::Done);
        assert_eq!(Swapped::from(Ok(Value::Nil)), Swapped::Not);
        for refusal in [Refusal::OutOfMemory, Refusal::WrongType, Refusal::Other] {
            assert_eq!(refused(refusal), Swapped::Not);
        }
        for refusal in [Refusal::ReadOnly, Refusal::NotReady, Refusal::WritesStopped, Refusal::Credentials] {
            assert!(matches!(refused(refusal), Swapped::Fault(_)), "nothing else would be done");
        }
        assert_eq!(Swapped::from(Err(Fault::Timeout)), Swapped::Fault(Fault::Timeout), "it may have happened");
        assert!(matches!(Swapped::from(Ok(Value::Int(1))), Swapped::Fault(Fault::Nonsense(_))));
    }
}
