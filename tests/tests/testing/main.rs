//! What `cache_runtime::testing` gives users, tried on services that are right and on services that are wrong.

#![cfg(unix)]

mod clock;
mod coherence;
mod guide;
mod naive;
mod parts;
