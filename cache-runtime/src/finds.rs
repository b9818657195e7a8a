//! Whether looks for a function's values find one: a moving average, so that what is looked for in vain most of the time
//! can be asked for in another way.

use std::sync::atomic::{AtomicU8, Ordering};

/// How many looks the average is about.
const LOOKS: u8 = 16;

/// What looks found lately: the share of those that found nothing, in 255ths. At first everything is found.
#[derive(Debug, Default)]
pub(crate) struct Finds(AtomicU8);

impl Finds {
    /// A look found something, or nothing. Where nearly all find the same, nothing is written: all threads read this.
    pub(crate) fn found(&self, something: bool) {
        let old = self.0.load(Ordering::Relaxed);
        let new = if something { old - old.div_ceil(LOOKS) } else { old + (u8::MAX - old).div_ceil(LOOKS) };
        // A lost update is one look of many.
        if new != old {
            self.0.store(new, Ordering::Relaxed);
        }
    }

    /// Whether the next look finds nothing more likely than something.
    pub(crate) fn expects_nothing(&self) -> bool {
        self.0.load(Ordering::Relaxed) > u8::MAX / 2
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_found_lately_is_expected() {
        let finds = Finds::default();
        let looks_until = |something, expected| {
            (0..100).find(|_| {
                finds.found(something);
                finds.expects_nothing() == expected
            })
        };
        assert!(!finds.expects_nothing());
        assert_eq!(looks_until(false, true), Some(10));
        (0..1_000).for_each(|_| finds.found(false));
        assert_eq!(finds.0.load(Ordering::Relaxed), u8::MAX);
        assert_eq!(looks_until(true, false), Some(10));
        (0..1_000).for_each(|_| finds.found(true));
        assert_eq!(finds.0.load(Ordering::Relaxed), 0);
    }

    #[test]
    fn one_in_three_is_not_most() {
        let finds = Finds::default();
        for look in 0..3_000 {
            finds.found(look % 3 > 0);
            assert!(!finds.expects_nothing());
        }
    }
}
