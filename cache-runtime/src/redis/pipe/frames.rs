//! Replies as the server writes them (RESP3, <https://redis.io/docs/latest/develop/reference/protocol-spec/>): where each
//! of them ends, and the short ones that come most often.

use std::fmt;
use std::ops::Range;

use bytes::Bytes;
use redis::{RedisError, Value};

/// Longest line: what has a length of its own is not in lines.
const LONGEST_LINE: usize = 64 << 10;

/// Longest string: a server has 512 MiB at most, unless it is told otherwise.
const LONGEST_STRING: u64 = 1 << 30;

/// Most elements of one reply.
const MOST_ELEMENTS: u64 = 1 << 32;

/// Finds where a reply ends, in bytes that come in pieces: each is looked at once.
///
/// A reply is a tree, but its end can be found without one: each element takes its own place away and adds those of its
/// children.
#[derive(Debug)]
pub(crate) struct Frames {
    /// Everything before is of elements that are whole.
    at: usize,
    /// Elements that are missing.
    left: u64,
}

/// No reply of any server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Malformed;

impl Frames {
    pub(crate) const fn new() -> Self {
        Self { at: 0, left: 1 }
    }

    /// The length of the reply that `bytes` begin with. If it is not whole, ask again with more bytes behind these.
    pub(crate) fn next(&mut self, bytes: &[u8]) -> Result<Option<usize>, Malformed> {
        while self.left > 0 {
            let Some((end, children)) = element(bytes, self.at)? else { return Ok(None) };
            self.at = end;
            self.left = self.left - 1 + children;
            if self.left > MOST_ELEMENTS {
                return Err(Malformed);
            }
        }
        let Self { at, .. } = std::mem::replace(self, Self::new());
        Ok(Some(at))
    }
}

/// Where the element ends that begins there, and how many follow it as its children; nothing if it is not whole.
fn element(bytes: &[u8], at: usize) -> Result<Option<(usize, u64)>, Malformed> {
    let Some(kind) = bytes.get(at) else { return Ok(None) };
    match kind {
        b'$' | b'=' | b'!' => string(bytes, at),
        b'*' | b'~' | b'>' => Ok(count(bytes, at + 1)?.map(|(end, count)| (end, count.unwrap_or(0)))),
        b'%' => Ok(count(bytes, at + 1)?.map(|(end, count)| (end, 2 * count.unwrap_or(0)))),
        // Attributes stand before what they belong to.
        b'|' => Ok(count(bytes, at + 1)?.map(|(end, count)| (end, 2 * count.unwrap_or(0) + 1))),
        b'+' | b'-' | b':' | b'_' | b'#' | b',' | b'(' => line(bytes, at),
        _ => Err(Malformed),
    }
}

fn string(bytes: &[u8], at: usize) -> Result<Option<(usize, u64)>, Malformed> {
    let Some((begin, length)) = count(bytes, at + 1)? else { return Ok(None) };
    let Some(length) = length else { return Ok(Some((begin, 0))) };
    if length > LONGEST_STRING {
        return Err(Malformed);
    }
    let end = begin + usize::try_from(length).map_err(|_| Malformed)? + 2;
    match bytes.get(end - 2..end) {
        None => Ok(None),
        Some(b"\r\n") => Ok(Some((end, 0))),
        Some(_) => Err(Malformed),
    }
}

fn line(bytes: &[u8], at: usize) -> Result<Option<(usize, u64)>, Malformed> {
    let rest = &bytes[at..];
    match rest.iter().take(LONGEST_LINE).position(|byte| *byte == b'\n') {
        Some(end) if rest[end - 1] == b'\r' => Ok(Some((at + end + 1, 0))),
        Some(_) => Err(Malformed),
        None if rest.len() >= LONGEST_LINE => Err(Malformed),
        None => Ok(None),
    }
}

/// A line with a number: where the next begins, and the number, or nothing for -1. Nothing if the line is not whole.
fn count(bytes: &[u8], at: usize) -> Result<Option<(usize, Option<u64>)>, Malformed> {
    let mut number: u64 = 0;
    for (i, &byte) in bytes[at..].iter().enumerate() {
        match byte {
            b'0'..=b'9' if i < 12 => number = number * 10 + u64::from(byte - b'0'),
            b'\r' if i > 0 => {
                return match bytes.get(at + i + 1) {
                    None => Ok(None),
                    Some(b'\n') => Ok(Some((at + i + 2, Some(number)))),
                    Some(_) => Err(Malformed),
                };
            }
            b'-' if i == 0 => return nothing(&bytes[at..]).map(|length| length.map(|length| (at + length, None))),
            _ => return Err(Malformed),
        }
    }
    Ok(None)
}

/// The length of the line that says -1.
fn nothing(line: &[u8]) -> Result<Option<usize>, Malformed> {
    const NOTHING: &[u8] = b"-1\r\n";
    let begin = &line[..line.len().min(NOTHING.len())];
    match begin {
        NOTHING => Ok(Some(NOTHING.len())),
        _ if NOTHING.starts_with(begin) => Ok(None),
        _ => Err(Malformed),
    }
}

/// A whole reply.
pub(crate) fn value(frame: &[u8]) -> Result<Value, RedisError> {
    match plain(frame) {
        Some((value, end)) if end == frame.len() => Ok(value),
        _ => redis::parse_redis_value(frame),
    }
}

/// What comes with every load: nothing, a string, a number, or a list of those; and where it ends.
fn plain(frame: &[u8]) -> Option<(Value, usize)> {
    if frame.first()? != &b'*' {
        return scalar(frame, 0);
    }
    let (mut at, many) = count(frame, 1).ok()??;
    let many = usize::try_from(many?).ok()?;
    // Each takes three bytes at least.
    let mut values = Vec::with_capacity(many.min(frame.len() / 3));
    while values.len() < many {
        let (value, end) = scalar(frame, at)?;
        values.push(value);
        at = end;
    }
    Some((Value::Array(values), at))
}

fn scalar(frame: &[u8], at: usize) -> Option<(Value, usize)> {
    if frame.get(at)? == &b':' {
        let (end, number) = count(frame, at + 1).ok()??;
        return Some((Value::Int(number?.try_into().ok()?), end));
    }
    let (string, end) = string_at(frame, at)?;
    let value = match string {
        Some(string) => Value::BulkString(frame.get(string)?.to_vec()),
        None => Value::Nil,
    };
    Some((value, end))
}

/// So many replies, one behind the other.
pub(crate) fn values(mut frames: &[u8], count: usize) -> Result<Vec<Value>, RedisError> {
    let mut values = Vec::with_capacity(count);
    for _ in 0..count {
        let end = Frames::new().next(frames)?.ok_or(Malformed)?;
        let (frame, rest) = frames.split_at(end);
        values.push(value(frame)?);
        frames = rest;
    }
    Ok(values)
}

/// The strings of a whole reply that is a list of strings and nothing else, each as what `make` makes of it. They share the
/// reply's bytes.
pub(crate) fn strings<T>(frame: &Bytes, make: impl Fn(Option<Bytes>) -> T) -> Option<Vec<T>> {
    let (mut at, many) = match frame.first()? {
        b'*' => count(frame, 1).ok()??,
        _ => return None,
    };
    let many = usize::try_from(many?).ok()?;
    let mut strings = Vec::with_capacity(many.min(frame.len()));
    while strings.len() < many {
        let (string, end) = string_at(frame, at)?;
        strings.push(make(string.map(|string| frame.slice(string))));
        at = end;
    }
    Some(strings)
}

/// Where a string stands, or nothing for none; and where what follows begins.
fn string_at(frame: &[u8], at: usize) -> Option<(Option<Range<usize>>, usize)> {
    match frame.get(at)? {
        b'_' => Some((None, at + 3)),
        b'$' => {
            let (begin, length) = count(frame, at + 1).ok()??;
            let Some(length) = length else { return Some((None, begin)) };
            let end = begin + usize::try_from(length).ok()?;
            Some((Some(begin..end), end + 2))
        }
        _ => None,
    }
}

impl fmt::Display for Malformed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("what came is no reply")
    }
}

impl From<Malformed> for RedisError {
    fn from(malformed: Malformed) -> Self {
        std::io::Error::new(std::io::ErrorKind::InvalidData, malformed.to_string()).into()
    }
}

#[cfg(test)]
mod tests;
