//! `MGET` as it goes over the wire, for reads that gather: its words are counted only when all have come, and one name alone
//! stays off the heap. What comes with loads is [`packed`](crate::redis::packed).

use std::iter;

use redis::{Cmd, RedisWrite};
use smallvec::{SmallVec, smallvec};

use crate::redis::packed::push_number;

/// What stands in front of the names at most: how many words there are, and the first of them.
const HEAD: usize = 32;

/// What has room without being allocated: one name of usual length.
const INLINE: usize = 128;

/// Room for more of them without growing.
const ROOM: usize = 2 << 10;

/// What stands around a name at most.
const LENGTH: usize = 16;

/// The end of whatever has an end.
const END: &[u8] = b"\r\n";

/// A read of some names, all in one slot.
#[derive(Debug)]
pub(crate) struct Mget {
    /// Room for the head, and the names behind it.
    bytes: SmallVec<[u8; INLINE]>,
    count: usize,
}

impl Mget {
    pub(crate) fn new() -> Self {
        Self { bytes: smallvec![0; HEAD], count: 0 }
    }

    pub(crate) fn add(&mut self, name: &str) {
        if !self.bytes.spilled() && self.bytes.len() + name.len() + LENGTH > INLINE {
            self.bytes.reserve(ROOM.max(name.len() + LENGTH));
        }
        self.bytes.push(b'$');
        push_number(&mut self.bytes, name.len() as u64);
        self.bytes.extend_from_slice(END);
        self.bytes.extend_from_slice(name.as_bytes());
        self.bytes.extend_from_slice(END);
        self.count += 1;
    }

    /// Those that were added, in their order.
    pub(crate) fn names(&self) -> impl Iterator<Item = &str> {
        let mut rest = &self.bytes[HEAD..];
        iter::from_fn(move || {
            let digits = rest.strip_prefix(b"$")?.split(|byte| *byte == b'\r').next()?;
            let length = digits.iter().fold(0, |length, digit| 10 * length + usize::from(digit - b'0'));
            let (name, next) = rest[1 + digits.len() + END.len()..].split_at(length);
            rest = &next[END.len()..];
            Some(str::from_utf8(name).expect("names are text"))
        })
    }

    pub(crate) fn count(&self) -> usize {
        self.count
    }

    /// The whole command.
    pub(crate) fn packed(&mut self) -> &[u8] {
        const NAME: &[u8] = b"\r\n$4\r\nMGET\r\n";
        let mut begin = HEAD - NAME.len();
        self.bytes[begin..HEAD].copy_from_slice(NAME);
        let mut words = self.count + 1;
        while words > 0 {
            begin -= 1;
            self.bytes[begin] = digit(words);
            words /= 10;
        }
        begin -= 1;
        self.bytes[begin] = b'*';
        &self.bytes[begin..]
    }

    /// The same for those who send commands of any kind.
    pub(crate) fn to_command(&self) -> Cmd {
        let mut command = redis::cmd("MGET");
        self.names().for_each(|name| command.write_arg(name.as_bytes()));
        command
    }
}

/// The last one.
fn digit(number: usize) -> u8 {
    b'0' + u8::try_from(number % 10).expect("a digit")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_packed_as_any_other_command_is() {
        let mut mget = Mget::new();
        let mut expected = redis::cmd("MGET");
        for name in ["a", "", "a longer name", &"long".repeat(300), "\u{e4}\r\n"].into_iter().cycle().take(1_200) {
            mget.add(name);
            expected.arg(name);
            if matches!(mget.count(), 1 | 8 | 9 | 98 | 99 | 998 | 999 | 1_200) {
                assert_eq!(mget.packed(), expected.get_packed_command());
                assert_eq!(mget.names().count(), mget.count());
                assert_eq!(mget.to_command().get_packed_command(), expected.get_packed_command());
            }
        }
    }
}
