//! One line on standard error that says how far it is; drawn only where a person is watching.

use std::io::{self, IsTerminal as _, Write as _};
use std::time::{Duration, Instant};

const CELLS: usize = 24;
const BETWEEN_DRAWINGS: Duration = Duration::from_millis(100);

/// The progress of one part of the program.
pub(crate) struct Progress {
    title: String,
    since: Instant,
    drawn: Option<Instant>,
    watched: bool,
}

impl Progress {
    /// Shows an empty bar, or only the title where nobody is watching.
    pub(crate) fn start(title: impl Into<String>) -> Self {
        let title = title.into();
        let watched = io::stderr().is_terminal();
        let mut progress = Self { title, since: Instant::now(), drawn: None, watched };
        if watched {
            progress.show(0.0, "");
        } else {
            progress.line(format_args!("{} ..\n", progress.title));
        }
        progress
    }

    /// Shows that a share of the work is done, from 0 to 1, and a note on it.
    pub(crate) fn show(&mut self, done: f64, note: &str) {
        let recently = self.drawn.is_some_and(|drawn| drawn.elapsed() < BETWEEN_DRAWINGS);
        if !self.watched || recently {
            return;
        }
        self.drawn = Some(Instant::now());
        let percent = (done.clamp(0.0, 1.0) * 100.0).round();
        let bar: String = (0..CELLS).map(|cell| if reached(cell, done) { '#' } else { '.' }).collect();
        self.line(format_args!("\r{:<26} [{bar}] {percent:>3} %  {note}", self.title));
    }

    /// Ends the line with how long it took.
    pub(crate) fn finish(self) {
        let took = self.since.elapsed().as_secs_f64();
        let clear = if self.watched { "\r\x1b[K" } else { "" };
        self.line(format_args!("{clear}{} .. {took:.1} s\n", self.title));
    }

    /// That nobody can be told how far it is, is no reason to stop.
    #[expect(clippy::unused_self, reason = "only a progress may write its line")]
    fn line(&self, text: std::fmt::Arguments<'_>) {
        let mut out = io::stderr().lock();
        let _ = out.write_fmt(text).and_then(|()| out.flush());
    }
}

#[expect(clippy::cast_precision_loss, reason = "there are few cells")]
fn reached(cell: usize, done: f64) -> bool {
    (cell as f64) < done * CELLS as f64
}
