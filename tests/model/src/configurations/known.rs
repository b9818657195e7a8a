//! What is known not to hold, with faults that no configuration has.

use crate::config::Config;
use crate::faults::Faults;

/// Configurations and faults with which a promise is known to be broken.
#[derive(Clone, Copy, Debug)]
pub struct Known {
    names: &'static [&'static str],
    with: fn(&Faults) -> u8,
    /// What it comes from.
    pub why: &'static str,
}

/// All that is known. `PROOF.md` and the documents have each.
pub const KNOWN: &[Known] = &[
    Known {
        names: &["foreign", "told"],
        with: |faults| faults.crashes,
        why: "(known: a process that starts does not read what was told while there was none)",
    },
    Known {
        names: &["foreign", "told"],
        with: |faults| faults.trims,
        why: "(known: what was trimmed before anybody has read it is gone)",
    },
    Known {
        names: &["begun"],
        with: |faults| faults.trims,
        why: "(known: a new bus that has lost as many messages as the old one ever had is taken for the old one)",
    },
];

impl Known {
    /// Whether it is about this configuration.
    #[must_use]
    pub fn is_about(&self, config: &Config) -> bool {
        self.names.contains(&config.name) && (self.with)(&config.faults) > 0
    }
}
