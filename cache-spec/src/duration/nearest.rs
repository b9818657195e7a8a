//! Guesses the duration that a malformed text was meant to be, so that messages can show it.

use std::time::Duration;

use super::MAX;

/// What people write for units, with their milliseconds: those of `UNITS`, larger and smaller ones.
const SPELLINGS: [(&[&str], f64); 8] = [
    (&["w", "wk", "wks", "week", "weeks"], 604_800_000.0),
    (&["d", "day", "days"], 86_400_000.0),
    (&["h", "hr", "hrs", "hour", "hours"], 3_600_000.0),
    (&["m", "min", "mins", "minute", "minutes"], 60_000.0),
    (&["s", "sec", "secs", "second", "seconds"], 1_000.0),
    (&["ms", "msec", "msecs", "milli", "millis", "millisecond", "milliseconds"], 1.0),
    (&["us", "µs", "μs", "micros", "microseconds"], 0.001),
    (&["ns", "nanos", "nanoseconds"], 0.000_001),
];

/// The duration that `text` was meant to be, when that is clear: units in any order and spelling,
/// fractions, white space, a sign, a last number without its unit, ISO 8601 with hours or less.
pub(super) fn meant(text: &str) -> Option<Duration> {
    let text: String = text.chars().filter(|c| !c.is_whitespace() && *c != '_').collect();
    let unsigned = text.trim_start_matches(['-', '+']);
    let mut rest = unsigned.strip_prefix("PT").unwrap_or(unsigned);
    let mut last = None;
    let mut total = 0.0;
    while !rest.is_empty() {
        let number = take(&mut rest, |c| c.is_ascii_digit() || c == '.');
        let spelling = take(&mut rest, char::is_alphabetic);
        let unit = match spelling {
            "" if rest.is_empty() => below(last)?,
            spelling => length(&spelling.to_lowercase())?,
        };
        total += number.parse::<f64>().ok()? * unit;
        last = Some(unit);
    }
    let millis = if total > 0.0 { total.round().max(1.0) } else { 0.0 };
    let meant = Duration::try_from_secs_f64(millis / 1_000.0).ok()?;
    (!meant.is_zero() && meant <= MAX).then_some(meant)
}

fn take<'a>(rest: &mut &'a str, belongs: impl Fn(char) -> bool) -> &'a str {
    let (taken, left) = rest.split_at(rest.find(|c| !belongs(c)).unwrap_or(rest.len()));
    *rest = left;
    taken
}

fn length(spelling: &str) -> Option<f64> {
    SPELLINGS.iter().find(|(names, _)| names.contains(&spelling)).map(|&(_, millis)| millis)
}

/// The unit of a last number without one: the next smaller unit, seconds when it stands alone.
fn below(last: Option<f64>) -> Option<f64> {
    let Some(last) = last else {
        return Some(1_000.0);
    };
    SPELLINGS.iter().map(|&(_, millis)| millis).find(|millis| (1.0..last).contains(millis))
}

#[cfg(test)]
mod tests {
    use super::super::{UNITS, print};
    use super::*;

    #[test]
    fn every_unit_can_be_spelt_as_it_is_written() {
        for (unit, millis) in UNITS {
            assert_eq!(meant(&format!("1{unit}")), Some(Duration::from_millis(millis)));
        }
    }

    #[track_caller]
    fn check(text: &str, expected: Option<&str>) {
        assert_eq!(meant(text).map(print).as_deref(), expected);
    }

    #[test]
    fn what_was_meant_is_found() {
        check("5 min", Some("5m"));
        check("1.5h", Some("1h30m"));
        check("30m1h", Some("1h30m"));
        check("2 Weeks", Some("14d"));
        check("5m30", Some("5m30s"));
        check("-10s", Some("10s"));
        check("1_000ms", Some("1s"));
        check("0.1", Some("100ms"));
        check("10us", Some("1ms"));
        check("PT1H30M", Some("1h30m"));
    }

    #[test]
    fn what_is_unclear_is_not_guessed() {
        for text in ["", "x", "m", "5m!", "0s", "1..5s", "5ms3", "99999999999d"] {
            check(text, None);
        }
    }
}
