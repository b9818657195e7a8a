//! The hasher port: seeds that nobody can guess, unless this thread simulates.

#[cfg(not(feature = "simulation"))]
pub(crate) use foldhash::quality::RandomState;

#[cfg(feature = "simulation")]
pub(crate) use crate::world::RandomState;
