//! Durations as they are written in attributes: `5m`, `1h30m`, `250ms`.
//!
//! Whole numbers with the units `d`, `h`, `m`, `s` and `ms`, the largest first, each at most once.
//! Never zero, and at most [`MAX`].
//!
//! ```
//! use cache_spec::duration;
//! use std::time::Duration;
//!
//! assert_eq!(duration::parse("1h30m"), Ok(Duration::from_secs(5_400)));
//! assert_eq!(duration::print(Duration::from_secs(5_400)), "1h30m");
//! assert_eq!(
//!     duration::parse("300").expect_err("no unit").to_string(),
//!     "`300` has no unit; write `300s` for seconds, or one of `d` `h` `m` `s` `ms`"
//! );
//! ```

mod nearest;

use std::ops::Range;
use std::time::Duration;

use crate::{Mistake, alphabet};

/// The longest duration that can be written: `36500d`, about a hundred years. No sum of a few such
/// spans and a point in time overflows.
pub const MAX: Duration = Duration::from_millis(MAX_MILLIS);

const MAX_MILLIS: u64 = 36_500 * 86_400_000;

/// Every unit with its length in milliseconds, the largest first.
const UNITS: [(&str, u64); 5] = [("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1_000), ("ms", 1)];

const UNIT_RULE: &str = "write one of `d` `h` `m` `s` `ms`";

/// Reads a duration.
///
/// # Errors
/// When `text` is anything but whole numbers with units, largest unit first and each once, when it
/// is zero, or over [`MAX`]. The message gives the nearest right form.
pub fn parse(text: &str) -> Result<Duration, Mistake> {
    if text.trim().is_empty() {
        let message = "the duration is empty; write a number and a unit, as in `5m` or `1h30m`";
        return Err(Mistake::new(0..text.len(), message));
    }
    let mut reader = Reader { text, at: 0, last: None, millis: 0 };
    while reader.at < text.len() {
        reader.term()?;
    }
    match reader.millis {
        0 => Err(zero(text)),
        millis if millis > MAX_MILLIS => Err(too_long(text, 0..text.len())),
        millis => Ok(Duration::from_millis(millis)),
    }
}

/// Writes a duration so that [`parse`] reads it back: the largest unit first, no unit with zero.
///
/// What is below a millisecond is left out; nothing at all is `0s`, which [`parse`] refuses.
#[must_use]
pub fn print(duration: Duration) -> String {
    let mut rest = duration.as_millis();
    let mut out = String::new();
    for (unit, millis) in UNITS {
        let millis = u128::from(millis);
        if rest >= millis {
            out.push_str(&(rest / millis).to_string());
            out.push_str(unit);
            rest %= millis;
        }
    }
    if out.is_empty() { "0s".to_owned() } else { out }
}

/// What has been read so far: terms up to `at`, the last one with the unit `UNITS[last]`.
struct Reader<'a> {
    text: &'a str,
    at: usize,
    last: Option<usize>,
    millis: u64,
}

impl<'a> Reader<'a> {
    /// Reads one number with its unit.
    fn term(&mut self) -> Result<(), Mistake> {
        let start = self.at;
        let number = self.take(|c| c.is_ascii_digit());
        if number.is_empty() {
            return Err(self.no_number());
        }
        let unit_start = self.at;
        let unit = self.take(char::is_alphabetic);
        if unit.is_empty() {
            return Err(self.no_unit(start, number));
        }
        let Some(rank) = UNITS.iter().position(|&(name, _)| name == unit) else {
            return Err(self.unknown_unit(unit_start, unit));
        };
        self.check_order(start..self.at, rank)?;
        self.last = Some(rank);
        self.millis = number
            .parse::<u64>()
            .ok()
            .and_then(|number| number.checked_mul(UNITS[rank].1))
            .and_then(|millis| millis.checked_add(self.millis))
            .ok_or_else(|| too_long(self.text, start..self.at))?;
        Ok(())
    }

    fn next(&self) -> Option<char> {
        self.text[self.at..].chars().next()
    }

    fn take(&mut self, belongs: impl Fn(char) -> bool) -> &'a str {
        let rest = &self.text[self.at..];
        let length = rest.find(|c| !belongs(c)).unwrap_or(rest.len());
        self.at += length;
        &rest[..length]
    }

    fn check_order(&self, term: Range<usize>, rank: usize) -> Result<(), Mistake> {
        let Some(last) = self.last.filter(|&last| rank <= last) else {
            return Ok(());
        };
        let (text, unit, before) = (self.text, UNITS[rank].0, UNITS[last].0);
        let (wrong, rule) = if rank == last {
            (format!("`{unit}` stands twice in `{text}`"), "write each unit once")
        } else {
            (format!("`{unit}` comes after `{before}` in `{text}`"), "write the largest unit first")
        };
        Err(Mistake::new(term, format!("{wrong}; {}", self.fix(rule))))
    }

    /// The mistake of a term that does not begin with a number.
    fn no_number(&self) -> Mistake {
        let text = self.text;
        let c = self.next().expect("a term is only read where text is left");
        let (wrong, rule) = match c {
            c if c.is_whitespace() => (format!("`{text}` holds white space"), "write it without"),
            '-' if self.at == 0 => (format!("`{text}` is negative"), "write a time above zero"),
            '.' => (format!("`{text}` holds a fraction"), "write whole numbers with smaller units"),
            c => (format!("{} stands in `{text}` where a number must", alphabet::show(c)), "write numbers with units"),
        };
        let range = self.at..self.at + c.len_utf8();
        Mistake::new(range, format!("{wrong}; {}", self.fix(rule)))
    }

    /// The mistake of `number`, which begins at `start` and has no unit behind it.
    fn no_unit(&self, start: usize, number: &str) -> Mistake {
        let text = self.text;
        match self.next() {
            None if number.bytes().all(|byte| byte == b'0') && start == 0 => zero(text),
            None if start == 0 && nearest::meant(text).is_some() => Mistake::new(
                start..self.at,
                format!(
                    "`{text}` has no unit; \
                     write `{text}s` for seconds, or one of `d` `h` `m` `s` `ms`"
                ),
            ),
            None => {
                Mistake::new(start..self.at, format!("`{number}` in `{text}` has no unit; {}", self.fix(UNIT_RULE)))
            }
            Some(_) => self.no_number(),
        }
    }

    fn unknown_unit(&self, start: usize, unit: &str) -> Mistake {
        let message = format!("`{unit}` is no unit; {}", self.fix(UNIT_RULE));
        Mistake::new(start..self.at, message)
    }

    /// `rule` with the right form nearest to what was written, or with any right one.
    fn fix(&self, rule: &str) -> String {
        match nearest::meant(self.text) {
            Some(meant) => format!("{rule}: `{}`", print(meant)),
            None => format!("{rule}, as in `1h30m`"),
        }
    }
}

fn zero(text: &str) -> Mistake {
    Mistake::new(0..text.len(), format!("`{text}` is no time at all; write at least `1ms`"))
}

fn too_long(text: &str, range: Range<usize>) -> Mistake {
    let message = format!("`{text}` is too long; write at most `{}d`", MAX_MILLIS / UNITS[0].1);
    Mistake::new(range, message)
}

#[cfg(test)]
mod tests;
