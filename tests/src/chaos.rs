//! The long run over what stands in production: one server, sentinels and a cluster, each behind proxies that spoil the
//! network, while servers are killed, stopped and fail over, slots move, and processes die.
//!
//! Processes, source of truth, log and checker are those of the [stress](crate::stress). What is new is what fails, and that
//! servers may lose what they have acknowledged: a replica that takes over has a prefix of what its primary did. Where that
//! prefix ends is measured: a mark with the time is written every two milliseconds, and the newest one that the new primary
//! knows says what is there. Invalidations that returned later are lost, bind nobody until they are repeated, and are
//! counted; everything else has to hold all the time.
//!
//! Replicas, sentinels and nodes know each other by the proxies too. Only the application's connections are disturbed
//! there: what disturbs servers is that they are killed and stopped.
//!
//! Bits are flipped before one server only, and all that is on the connections then is lost as in a failover until the
//! server has been emptied: RESP has no checksum, and an acknowledgement that is flipped cannot be told from a true one.

mod data;
mod marks;
mod network;
mod plan;
mod report;
mod run;
mod servers;
mod settings;
mod world;

pub use report::{Report, table};
pub use run::run;
pub use settings::{Settings, Topology};
