//! Processes that a test starts: killed, stopped and continued by it, and never left behind.

mod watchdog;

use std::io;
use std::process::{Child, ExitStatus};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, kill_process, waitid};

use crate::eventually::eventually_some;

/// A child process. Killed when dropped, and by a watchdog if the test process itself is killed.
#[derive(Debug)]
pub struct Process {
    id: u32,
    child: Mutex<Watched>,
}

/// A child, and whether the watchdog still has its id.
#[derive(Debug)]
struct Watched {
    child: Child,
    watched: bool,
}

impl Process {
    /// Takes over a child that was just started.
    #[must_use]
    pub fn adopt(child: Child) -> Self {
        watchdog::watch(child.id());
        Self { id: child.id(), child: Mutex::new(Watched { child, watched: true }) }
    }

    /// Its process id.
    #[must_use]
    pub fn id(&self) -> u32 {
        self.id
    }

    /// SIGKILL, also to a stopped one. Returns when it is dead.
    ///
    /// # Panics
    ///
    /// If the kernel refuses to kill our own child.
    pub fn kill(&self) {
        self.child().kill().expect("one may kill one's own child");
    }

    /// SIGSTOP. Returns when it has stopped; nothing happens if it is dead.
    pub fn stop(&self) {
        self.signal(Signal::STOP);
        // `NOWAIT`: the next one who asks is told too. Of a dead one the kernel says that there is nothing to wait for.
        let _ = waitid(WaitId::Pid(self.pid()), WaitIdOptions::STOPPED | WaitIdOptions::NOWAIT);
    }

    /// SIGCONT.
    pub fn resume(&self) {
        self.signal(Signal::CONT);
    }

    /// How it ended, if it has.
    pub fn exited(&self) -> Option<ExitStatus> {
        self.child().child.try_wait().ok().flatten()
    }

    /// Waits for its end.
    pub fn wait(&self, within: Duration) -> Option<ExitStatus> {
        eventually_some(within, || self.exited())
    }

    /// Under the lock, so that the id cannot belong to somebody else by now.
    fn signal(&self, signal: Signal) {
        let mut child = self.child();
        if let Ok(None) = child.child.try_wait() {
            kill_process(self.pid(), signal).expect("one may signal one's own child");
        }
    }

    fn pid(&self) -> Pid {
        i32::try_from(self.id).ok().and_then(Pid::from_raw).expect("the id of a child is a positive number")
    }

    fn child(&self) -> MutexGuard<'_, Watched> {
        self.child.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // There is nobody to tell.
        let _ = self.child().kill();
    }
}

impl Watched {
    fn kill(&mut self) -> io::Result<()> {
        self.child.kill()?;
        // Before it is reaped: afterwards its id may be that of another child of ours.
        if std::mem::take(&mut self.watched) {
            watchdog::forget(self.child.id());
        }
        self.child.wait().map(drop)
    }
}
