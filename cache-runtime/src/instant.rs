//! The instant port: moments of the clock that nobody sets. The system's, unless this thread simulates.

#[cfg(not(feature = "simulation"))]
pub(crate) use std::time::Instant;

#[cfg(feature = "simulation")]
pub(crate) use crate::world::Instant;
