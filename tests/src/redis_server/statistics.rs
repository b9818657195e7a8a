//! What a server counted.

use std::collections::BTreeMap;
use std::time::Duration;

use super::RedisServer;

/// What a server counted for one command.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CommandStatistics {
    /// How often it was called, within scripts too.
    pub calls: u64,
    /// The processor time of all calls together.
    pub time: Duration,
}

impl RedisServer {
    /// `INFO commandstats`: `get`, `client|setname`, .. Our own calls are counted as well.
    ///
    /// # Panics
    ///
    /// If there is no reply within 10 seconds.
    #[must_use]
    pub fn commandstats(&self) -> BTreeMap<String, CommandStatistics> {
        let information = self.cli(&["INFO", "commandstats"]);
        let lines = information.lines().filter_map(|line| line.strip_prefix("cmdstat_")?.split_once(':'));
        lines.map(|(command, fields)| (command.to_owned(), statistics(fields))).collect()
    }

    /// Sets all counters of the server to 0.
    ///
    /// # Panics
    ///
    /// If there is no reply within 10 seconds.
    pub fn reset_commandstats(&self) {
        self.cli(&["CONFIG", "RESETSTAT"]);
    }

    /// One field of `INFO everything`, if the server has it: `used_memory`, `role`, ..
    ///
    /// # Panics
    ///
    /// If there is no reply within 10 seconds.
    #[must_use]
    pub fn info(&self, field: &str) -> Option<String> {
        find_field(&self.cli(&["INFO", "everything"]), field)
    }
}

/// The value of `field:value` in a text of such lines.
pub(crate) fn find_field(text: &str, field: &str) -> Option<String> {
    let mut fields = text.lines().filter_map(|line| line.trim_end().split_once(':'));
    fields.find_map(|(name, value)| (name == field).then(|| value.to_owned()))
}

/// Of `calls=3,usec=12,usec_per_call=4.00,..`.
fn statistics(fields: &str) -> CommandStatistics {
    let number = |name: &str| {
        let mut fields = fields.split(',').filter_map(|field| field.split_once('='));
        fields.find_map(|(found, value)| (found == name).then(|| value.parse().ok())?).unwrap_or_default()
    };
    CommandStatistics { calls: number("calls"), time: Duration::from_micros(number("usec")) }
}
