//! What tests of annotated services need, from a clock that is moved by hand to a search for broken promises.
//!
//! | to | there is |
//! |---|---|
//! | let time pass | [`ManualClock`] |
//! | count loads and hits | [`Recorder`] |
//! | have a real server for one test | [`RedisServer`] |
//! | have several processes over one server | [`Fleet`] |
//! | disturb the network between them | [`FaultProxy`] |
//! | check reads and writes of a test of your own | [`History`] |
//! | find out whether a service is coherent | [`assert_coherent`], [`Coherence`] |
//!
//! The guide `docs/testing.md` goes through them in this order.
//!
//! A program for production is built without this feature: it makes the cache ask at some steps whether a test watches.

pub mod coherence;
#[cfg(unix)]
pub mod fault_proxy;
#[cfg(unix)]
pub mod fleet;
pub mod history;
mod manual_clock;
#[cfg(unix)]
pub mod port;
mod recorder;
#[cfg(unix)]
pub mod redis_server;
pub mod resp;

pub use coherence::{Coherence, Incoherence, assert_coherent};
#[cfg(unix)]
pub use fault_proxy::{Fault, FaultProxy};
#[cfg(unix)]
pub use fleet::Fleet;
pub use history::History;
pub use manual_clock::ManualClock;
pub use recorder::Recorder;
#[cfg(unix)]
pub use redis_server::RedisServer;

#[cfg(feature = "mutants")]
pub use crate::rules::Rule;
