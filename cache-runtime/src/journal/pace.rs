//! How much is sent at once: less where more was late the last time.

use std::collections::VecDeque;

use crate::journal::queue::Numbered;

/// Names or events, whichever are more, and bytes that are sent at once. The script that tells the bus takes four
/// arguments of each event, and a server's Lua hands on no more than 8,000.
const BATCH: (usize, usize) = (512, 256 << 10);

/// As often as it takes to one at a time.
const MOST_HALVINGS: u32 = BATCH.0.ilog2();

/// Batches in time after which they are twice as large.
const IN_TIME: u32 = 16;

/// What the servers have done in time lately.
#[derive(Debug, Default)]
pub(super) struct Pace {
    halvings: u32,
    in_time: u32,
}

impl Pace {
    pub(super) fn was_in_time(&mut self) {
        self.in_time += 1;
        if self.in_time == IN_TIME {
            *self = Self { halvings: self.halvings.saturating_sub(1), in_time: 0 };
        }
    }

    pub(super) fn was_late(&mut self) {
        *self = Self { halvings: (self.halvings + 1).min(MOST_HALVINGS), in_time: 0 };
    }

    /// Takes the first of these, as many as fit: one in any case.
    pub(super) fn cut(&self, items: &mut VecDeque<Numbered>) -> Vec<Numbered> {
        let (mut parts, mut bytes) = (BATCH.0 >> self.halvings, BATCH.1 >> self.halvings);
        let mut fits = |(_, item): &&Numbered| {
            let left = parts.checked_sub(item.parts()).zip(bytes.checked_sub(item.bytes()));
            (parts, bytes) = left.unwrap_or_default();
            left.is_some()
        };
        let count = items.iter().take_while(|item| fits(item)).count();
        items.drain(..count.max(1).min(items.len())).collect()
    }
}
