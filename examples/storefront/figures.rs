//! Numbers as people read them.

use std::time::Duration;

/// `1234567` as `1,234,567`.
pub(crate) fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let groups = digits.as_bytes().rchunks(3).rev();
    groups.map(String::from_utf8_lossy).collect::<Vec<_>>().join(",")
}

/// How often in a second.
#[expect(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a rate is shown, not calculated with"
)]
pub(crate) fn rate(count: u64, took: Duration) -> String {
    grouped((count as f64 / took.as_secs_f64()).round() as u64)
}

/// How many of the one for each of the other.
#[expect(clippy::cast_precision_loss, reason = "two digits are shown")]
pub(crate) fn ratio(count: u64, of: u64) -> String {
    match of {
        0 => "-".to_owned(),
        _ => format!("{:.2}", count as f64 / of as f64),
    }
}

/// A part of all, in percent; nothing to show of nothing.
#[expect(clippy::cast_precision_loss, reason = "three digits are shown")]
pub(crate) fn percent(part: u64, all: u64) -> String {
    match all {
        0 => "-".to_owned(),
        _ => format!("{:.1} %", part as f64 / all as f64 * 100.0),
    }
}

/// Two or three digits and a unit.
pub(crate) fn time(duration: Option<Duration>) -> String {
    let Some(duration) = duration else {
        return "-".to_owned();
    };
    let micros = duration.as_secs_f64() * 1e6;
    match micros {
        ..10.0 => format!("{micros:.2} µs"),
        10.0..1_000.0 => format!("{micros:.0} µs"),
        1_000.0..10_000.0 => format!("{:.2} ms", micros / 1e3),
        _ => format!("{:.0} ms", micros / 1e3),
    }
}
