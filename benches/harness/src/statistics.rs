//! What many measurements come to.

#[expect(clippy::cast_precision_loss, reason = "counts here are far below 2^52")]
pub fn as_float(count: impl TryInto<u64, Error: std::fmt::Debug>) -> f64 {
    count.try_into().expect("a count is not negative") as f64
}

/// The middle value; the mean of the two middle ones when their number is even.
pub fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let (low, high) = (sorted.len().saturating_sub(1) / 2, sorted.len() / 2);
    match (sorted.get(low), sorted.get(high)) {
        (Some(low), Some(high)) => f64::midpoint(*low, *high),
        _ => f64::NAN,
    }
}

/// The median of the ratios within each repetition: what the machine does to both, it does to
/// neither of these.
pub fn ratio(times: &[f64], base: &[f64]) -> f64 {
    let ratios: Vec<f64> = times.iter().zip(base).map(|(time, base)| time / base).collect();
    median(&ratios)
}

/// Of sorted nanoseconds, in microseconds.
pub fn percentile(sorted: &[u32], percent: usize) -> f64 {
    let place = (sorted.len() * percent / 100).min(sorted.len().saturating_sub(1));
    sorted.get(place).map_or(f64::NAN, |nanoseconds| f64::from(*nanoseconds) / 1e3)
}

#[cfg(test)]
mod tests {
    use super::{median, percentile, ratio};

    #[track_caller]
    fn check(found: f64, expected: f64) {
        assert!((found - expected).abs() < 1e-9, "{found} instead of {expected}");
    }

    #[test]
    fn the_median_is_the_middle() {
        check(median(&[9.0, 1.0, 2.0]), 2.0);
        check(median(&[4.0, 1.0, 2.0, 9.0]), 3.0);
        assert!(median(&[]).is_nan());
    }

    #[test]
    fn a_slow_repetition_does_not_move_the_ratio() {
        check(ratio(&[20.0, 200.0, 22.0], &[10.0, 100.0, 11.0]), 2.0);
    }

    #[test]
    fn percentiles_are_in_microseconds() {
        let sorted: Vec<u32> = (1..=200).map(|number| number * 1_000).collect();
        assert!((percentile(&sorted, 50) - 101.0).abs() < 1e-9);
        assert!((percentile(&sorted, 99) - 199.0).abs() < 1e-9);
        assert!(percentile(&[], 50).is_nan());
    }
}
