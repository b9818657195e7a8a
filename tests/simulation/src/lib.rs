//! The deterministic simulation: the real runtime and the real Redis client, many processes of them, a server and a network
//! that fails, in one thread and in virtual time. Everything follows from a seed, so that what goes wrong once goes wrong
//! again.
//!
//! ```text
//! plan       what a seed stands for: settings, operations, faults (plan::draw draws it)
//! run        one run of a plan: takes what happens next, again and again; faults do their part
//! judge      whether all promises were kept; minimise takes away what does not matter to a failure
//! operation  what a process does and writes down; functions are what it calls, shared is the source of truth
//! process    a runtime of its own; host is the server's machine, server the Redis on it
//! cluster    what several servers do together
//! foreign    a publisher that is no process
//! network    connections between them; world is the time and the queue of what will happen
//! ```
//!
//! The runtime's side of it is `cache_runtime::simulation`: time, sleeps, connections and hash seeds come from here.

mod campaign;
mod clock;
mod cluster;
mod faults;
mod foreign;
mod functions;
mod host;
mod judge;
mod minimise;
mod network;
mod operation;
mod plan;
mod process;
mod run;
pub mod server;
mod shared;
mod world;

pub use campaign::{Campaign, Report, silence_expected_panics};
pub use minimise::minimise;
pub use plan::{FIRST_OF_ALL, Plan};
pub use run::{Outcome, run};
pub use shared::Counts;
