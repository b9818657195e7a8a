//! Which product is asked for, and by whom.

use fastrand::Rng;

/// The rows of a table, some asked for more than others: ranks follow a power law (Zipf's), as
/// bent as it takes for the first 20 % to be 80 % of what is asked for.
pub(crate) struct Popularity {
    count: u32,
    exponent: f64,
}

impl Popularity {
    pub(crate) fn new(count: u32) -> Self {
        // The share of the top fifth falls as the exponent rises: halve the interval.
        let (mut low, mut high) = (-2.0, 1.0);
        for _ in 0..60 {
            let exponent = f64::midpoint(low, high);
            if top_fifth(count, exponent) > 0.8 {
                low = exponent;
            } else {
                high = exponent;
            }
        }
        Self { count, exponent: low }
    }

    /// The rank of the next one to be asked for, from 1 on.
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a rank lies between 1 and the count")]
    pub(crate) fn rank(&self, rng: &mut Rng) -> u32 {
        let span = area(f64::from(self.count), self.exponent);
        let rank = (1.0 + rng.f64() * span).powf(self.exponent.recip());
        (rank as u32).clamp(1, self.count)
    }

    pub(crate) fn count(&self) -> u32 {
        self.count
    }

    pub(crate) fn is_top_fifth(&self, rank: u32) -> bool {
        rank <= self.count / 5
    }

    /// The row at a rank: the popular ones are spread over the whole table.
    pub(crate) fn id(&self, rank: u32) -> u32 {
        let count = u64::from(self.count);
        // A prime larger than the table, so that every rank is another product.
        let spread = u64::from(rank) * 2_654_435_761 % count;
        u32::try_from(spread).expect("a remainder of a u32 is a u32") + 1
    }
}

fn top_fifth(count: u32, exponent: f64) -> f64 {
    area(f64::from(count / 5), exponent) / area(f64::from(count), exponent)
}

/// The weight of the first `ranks` ranks, up to a constant factor: the integral of
/// x^(exponent - 1) from 1 to `ranks` + 1, with the sign of the exponent.
fn area(ranks: f64, exponent: f64) -> f64 {
    (ranks + 1.0).powf(exponent) - 1.0
}
