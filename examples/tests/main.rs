//! Runs every example as a user would and reads what it prints.

mod built;
mod lessons;
mod storefront;

/// The checks of `testing_your_service` as the tests that they are.
#[path = "../testing_your_service.rs"]
mod testing_your_service;
