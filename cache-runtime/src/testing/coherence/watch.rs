//! The ear at the steps of one cache: notes them, and pauses there.

use std::sync::Arc;

use crate::clock::Sleep;
use crate::steps::{Observer, Step};

use super::log::{Log, What};
use super::pace::Pace;

#[derive(Debug)]
pub(super) struct Watch {
    pub(super) process: usize,
    pub(super) log: Arc<Log>,
    pub(super) pace: Arc<Pace>,
}

impl Observer for Watch {
    fn observe(&self, step: Step<'_>) -> Option<Sleep> {
        if let Step::Loading { key, groups, .. } = step {
            self.log.note_groups(key, groups);
        }
        self.log.add(Some(self.process), noted(step));
        self.pace.pause()
    }
}

fn noted(step: Step<'_>) -> What {
    match step {
        Step::Loading { load, key, .. } => What::Loading { load, text: key.to_owned() },
        Step::Loaded { load, key } => What::Loaded { load, text: key.to_owned() },
        Step::Kept { load, key } => What::Kept { load, text: key.to_owned() },
        Step::Refused { load, key } => What::Refused { load, text: key.to_owned() },
        Step::Invalidating => What::Invalidating,
        Step::Invalidated { texts, applied } => What::Invalidated { texts: texts.to_vec(), applied },
    }
}
