//! What a deterministic simulation puts in the place of the world: clock, timers, network and hash seeds of one thread.
//!
//! Hidden, and no part of the public contract: the simulation of this workspace uses it. A thread that has entered no
//! world runs as ever, so that tests with and without a simulation share one build.

use std::rc::Rc;

pub use crate::world::{Connecting, Wire, World};
use crate::{redis, threads, world};

/// This thread is in a simulated world until it is dropped.
#[derive(Debug)]
#[must_use = "the thread leaves the world at once"]
pub struct Entered(());

/// Enters a world in which all that is random follows from `seed`.
pub fn enter(world: Rc<dyn World>, seed: u64) -> Entered {
    world::set(Some(world));
    fastrand::seed(seed);
    threads::forget();
    Entered(())
}

impl Drop for Entered {
    fn drop(&mut self) {
        threads::forget();
        world::set(None);
    }
}

/// A script that the runtime sends to its servers.
#[derive(Clone, Copy, Debug)]
pub struct Script {
    /// What it is called.
    pub name: &'static str,
    /// Its SHA-1.
    pub digest: &'static str,
    /// Its text.
    pub code: &'static str,
}

/// All scripts.
#[must_use]
pub fn scripts() -> Vec<Script> {
    redis::scripts().map(|(name, digest, code)| Script { name, digest, code }).collect()
}
