//! Runs every example as a user would and reads what it prints.

mod built;
#[cfg(unix)]
mod fleet;
mod lessons;
mod storefront;

/// The server that `fleet` starts.
#[cfg(unix)]
#[expect(dead_code, reason = "`fleet` wants to know more of it")]
#[path = "../fleet/redis_server.rs"]
mod redis_server;

/// The checks of `testing_your_service` as the tests that they are.
#[path = "../testing_your_service.rs"]
mod testing_your_service;
