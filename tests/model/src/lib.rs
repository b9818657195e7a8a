//! The coherence protocol as a model that is explored completely.
//!
//! A [state](protocol::State) is a source, a server, some processes with their calls, and writers. A
//! [configuration](config::Config) says how many of each there are and what may go wrong; [`model`] lists every step that
//! is possible in a state. [stateright](https://www.stateright.rs) follows all of them, in every order, and checks in each
//! state that no [promise] is broken. A [mutant] is the same protocol with one rule less: for each there
//! is a configuration that shows which promise needs it.
//!
//! To read it: [`protocol`] first (what there is), then `call`, `claim` and `publish` (what happens, in the order of the
//! picture in `ARCHITECTURE.md`), then [`promise`] (what must hold).
//!
//! ```text
//! read      begin -> fence -> join -> turn: own tier again -> GET -> SET NX -> load -> seal, FINISH -> verdict
//! publish   commit -> fence, send -> server: unlink, routes, XADD -> fence again, return
//! receive   ask -> server: tail -> unlink what is not covered -> fence, extend the right
//! wait      `everywhere`: who reads the bus, how far, and for how long they may serve
//! world     ticks, evictions, timeouts and what arrives late, trims, crashes, failovers
//! ```
//!
//! What is left out: several events in one message, jitter and hard lifetimes (an eviction may come at any time),
//! near copies of threads (their order is explored by `schedules.rs`), and two servers that both take themselves for the
//! primary. A failover takes longer than `op_timeout`: no reply of the old server arrives after it.

pub mod action;
mod bus;
mod call;
mod claim;
pub mod config;
pub mod configurations;
pub mod faults;
mod journal;
pub mod milestone;
pub mod model;
pub mod mutant;
pub mod nodes;
mod process;
pub mod promise;
pub mod protocol;
mod publish;
pub mod run;
mod server;
pub mod trace;
mod world;
