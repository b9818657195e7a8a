use crate::Mistake;

/// By how much a lifetime may be shortened at random, in percent: 0 to 100.
///
/// ```
/// use cache_spec::Jitter;
///
/// assert_eq!(Jitter::new(10).map(Jitter::percent), Ok(10));
/// assert_eq!(
///     Jitter::new(150).expect_err("over 100").to_string(),
///     "`150` is over 100; jitter is a whole percent from `0` to `100`, as in `10`"
/// );
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Jitter(u8);

impl Jitter {
    /// Every lifetime is exactly as written.
    pub const NONE: Self = Self(0);

    /// # Errors
    /// When `percent` is over 100. The range spans its decimal digits.
    pub fn new(percent: u64) -> Result<Self, Mistake> {
        match u8::try_from(percent) {
            Ok(share) if share <= 100 => Ok(Self(share)),
            _ => Err(too_large(&percent.to_string())),
        }
    }

    /// Reads the digits of a percentage, as in `10`.
    ///
    /// # Errors
    /// When `text` is anything but a whole number from 0 to 100; `10%` and `0.1` are told how to
    /// be written instead.
    pub fn parse(text: &str) -> Result<Self, Mistake> {
        let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        match text.parse::<u64>() {
            Ok(percent) if digits => Self::new(percent).map_err(|_| too_large(text)),
            _ if digits => Err(too_large(text)),
            _ => Err(malformed(text)),
        }
    }

    /// The upper bound of the share, in percent.
    #[must_use]
    pub const fn percent(self) -> u8 {
        self.0
    }
}

fn too_large(text: &str) -> Mistake {
    let message = format!("`{text}` is over 100; jitter is a whole percent from `0` to `100`, as in `10`");
    Mistake::new(0..text.len(), message)
}

fn malformed(text: &str) -> Mistake {
    let nearest = match text.trim().strip_suffix('%') {
        Some(number) => share(number.trim_end(), 1.0),
        None => share(text.trim(), 100.0),
    };
    let message = match nearest {
        _ if text.is_empty() => "jitter is empty; write a whole percent, as in `10`".to_owned(),
        Some(percent) => format!("`{text}` is no whole number of percent; write `{percent}`"),
        None => {
            format!("`{text}` is no percentage; write a whole number from `0` to `100`, as in `10`")
        }
    };
    Mistake::new(0..text.len(), message)
}

/// The whole percent that a number was meant to be; a value under one is a share of `one`.
fn share(text: &str, one: f64) -> Option<u32> {
    let value: f64 = text.parse().ok()?;
    let percent = if value < 1.0 { value * one } else { value };
    (0..=100).find(|&whole| (f64::from(whole) - percent).abs() <= 0.5)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, expected: Result<u8, &str>) {
        let got = Jitter::parse(text);
        let got = got.map(Jitter::percent).map_err(|mistake| {
            assert_eq!(mistake.range, 0..text.len());
            mistake.message
        });
        assert_eq!(got, expected.map_err(str::to_owned));
    }

    #[test]
    fn a_whole_percent_is_read() {
        check("0", Ok(0));
        check("10", Ok(10));
        check("100", Ok(100));
        assert_eq!(Jitter::NONE, Jitter::default());
    }

    #[test]
    fn anything_else_is_told_how_to_be_written() {
        check("", Err("jitter is empty; write a whole percent, as in `10`"));
        check("10%", Err("`10%` is no whole number of percent; write `10`"));
        check(" 10 %", Err("` 10 %` is no whole number of percent; write `10`"));
        check("+10", Err("`+10` is no whole number of percent; write `10`"));
        check("0.1", Err("`0.1` is no whole number of percent; write `10`"));
        check("0.9%", Err("`0.9%` is no whole number of percent; write `1`"));
        check("12.5%", Err("`12.5%` is no whole number of percent; write `12`"));
        check("ten", Err("`ten` is no percentage; write a whole number from `0` to `100`, as in `10`"));
        check("-5", Err("`-5` is no percentage; write a whole number from `0` to `100`, as in `10`"));
    }

    #[test]
    fn over_a_hundred_is_refused() {
        let text = "99999999999999999999999";
        let message = format!("`{text}` is over 100; jitter is a whole percent from `0` to `100`, as in `10`");
        check(text, Err(&message));
        check("101", Err("`101` is over 100; jitter is a whole percent from `0` to `100`, as in `10`"));
        assert_eq!(Jitter::new(101), Jitter::parse("101"));
    }
}
