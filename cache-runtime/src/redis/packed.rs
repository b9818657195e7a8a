//! Commands as they go over the wire, packed once: those that come with every load. All others are redis-rs' [`Cmd`]s.

use redis::{Cmd, Pipeline, RedisWrite, Value};

use crate::redis::pipe::frames::{self, Frames};

/// Room for a few commands without growing.
const ROOM: usize = 1 << 10;

/// Some commands, one behind the other.
#[derive(Debug, Default)]
pub(crate) struct Packed {
    bytes: Vec<u8>,
    count: usize,
}

impl Packed {
    pub(crate) fn add<'a>(&mut self, words: impl IntoIterator<Item = &'a [u8], IntoIter: ExactSizeIterator>) {
        if self.bytes.capacity() == 0 {
            self.bytes.reserve(ROOM);
        }
        let words = words.into_iter();
        self.bytes.push(b'*');
        push_number(&mut self.bytes, words.len() as u64);
        self.bytes.extend_from_slice(b"\r\n");
        for word in words {
            self.bytes.push(b'$');
            push_number(&mut self.bytes, word.len() as u64);
            self.bytes.extend_from_slice(b"\r\n");
            self.bytes.extend_from_slice(word);
            self.bytes.extend_from_slice(b"\r\n");
        }
        self.count += 1;
    }

    pub(crate) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// How many commands there are.
    pub(crate) fn count(&self) -> usize {
        self.count
    }

    /// The same for those who send commands of any kind.
    pub(crate) fn to_pipeline(&self) -> Pipeline {
        let (mut pipeline, mut rest) = (Pipeline::with_capacity(self.count), self.bytes.as_slice());
        // A command has the form of a reply.
        while let Ok(Some(end)) = Frames::new().next(rest) {
            let mut command = Cmd::new();
            if let Ok(Value::Array(words)) = frames::value(&rest[..end]) {
                for word in words {
                    add_word(&mut command, &word);
                }
            }
            pipeline.add_command(command);
            rest = &rest[end..];
        }
        pipeline
    }
}

fn add_word(command: &mut Cmd, word: &Value) {
    if let Value::BulkString(word) = word {
        command.write_arg(word);
    }
}

/// The decimal digits.
pub(crate) fn push_number(bytes: &mut impl Extend<u8>, number: u64) {
    if number >= 10 {
        push_number(bytes, number / 10);
    }
    bytes.extend([b'0' + u8::try_from(number % 10).expect("a digit")]);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_are_packed_as_any_other_is() {
        let long = "long".repeat(300);
        let commands: [&[&str]; 4] =
            [&["PING"], &["SET", "a key", "", "PX", "2000"], &["GET", &long], &["GET", "\u{e4}\r\n*1\r\n"]];
        let (mut packed, mut expected) = (Packed::default(), Pipeline::new());
        for words in commands {
            packed.add(words.iter().map(|word| word.as_bytes()));
            expected.cmd(words[0]).arg(&words[1..]);
        }
        assert_eq!(packed.count(), 4);
        assert_eq!(packed.bytes(), expected.get_packed_pipeline());
        assert_eq!(packed.to_pipeline().get_packed_pipeline(), packed.bytes());
        assert_eq!(packed.to_pipeline().len(), 4);
    }

    #[test]
    fn numbers_are_written_as_they_are_read() {
        for number in [0, 9, 10, 1_234_567_890, u64::MAX] {
            let mut bytes = Vec::new();
            push_number(&mut bytes, number);
            assert_eq!(bytes, number.to_string().as_bytes());
        }
    }
}
