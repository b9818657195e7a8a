//! What the programs of the benches share.
//!
//! [`workload`] is what is read, and [`work`] how the second tier reads it; [`contender`] is what takes part, [`calls`]
//! the one loop of the second tier, [`remote`] the same loop in another program. [`stage`] is a process and its
//! [`server`], [`children`] are more processes; [`allocator`] counts, and [`statistics`] is what figures come to.

pub mod allocator;
pub mod calls;
pub mod children;
pub mod contender;
pub mod remote;
pub mod server;
pub mod stage;
pub mod statistics;
pub mod work;
pub mod workload;
