//! What was asked of a server in memory, and what a process did.

use std::sync::Mutex;
use std::time::Duration;

use tokio::sync::Notify;

/// What has happened, in order, on the server and in the process.
#[derive(Debug, Default)]
pub(crate) struct Log {
    lines: Mutex<Vec<String>>,
    grown: Notify,
}

impl Log {
    pub(crate) fn note(&self, line: impl Into<String>) {
        self.lines.lock().expect("no panics").push(line.into());
        self.grown.notify_one();
    }

    pub(crate) fn lines(&self) -> Vec<String> {
        self.lines.lock().expect("no panics").clone()
    }

    pub(crate) fn clear(&self) {
        self.lines.lock().expect("no panics").clear();
    }

    /// Waits until these have happened, in this order.
    pub(crate) async fn until(&self, lines: &[&str]) {
        let wait = async {
            while !self.has(lines) {
                self.grown.notified().await;
            }
        };
        let is_over = tokio::time::timeout(Duration::from_secs(10), wait).await.is_ok();
        assert!(is_over, "not {lines:?}, but {:?}", self.lines());
    }

    pub(crate) fn has(&self, lines: &[&str]) -> bool {
        let happened = self.lines();
        let mut happened = happened.iter();
        lines.iter().all(|line| happened.any(|other| other == line))
    }
}
