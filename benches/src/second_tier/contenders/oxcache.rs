//! `oxcache` 0.4, in a program of its own: `benches/apart`. With its `redis` feature it wants `regex` 1.13 or later,
//! hitbox-backend 0.2.2 (by way of serde-saphyr) one before 1.13, so no lock file can have both.

use std::env;
use std::ffi::OsString;
use std::process::Command;

use harness::calls::Calls;
use harness::remote::Remote;
use harness::stage::Stage;

use super::Candidate;

/// Names the file of the other program; `cargo xtask bench l2` sets it.
const VARIABLE: &str = "CACHE_BENCHES_APART";

/// The library refuses a server without TLS where the environment does not say that it may.
const WITHOUT_TLS: (&str, &str) = ("OXCACHE_ALLOW_INSECURE_REDIS", "development-only");

const CANDIDATE: Candidate = Candidate { name: "oxcache `get_or`", format: "JSON", loads: true, connect };

const ABSENT: &str = "oxcache 0.4.3: its `regex` is not that of hitbox, so that it has a program of its own, and \
                      `CACHE_BENCHES_APART` does not say where that is, as `cargo xtask bench l2` does";

pub(super) fn candidates() -> &'static [Candidate] {
    if program().is_some() { &[CANDIDATE] } else { &[] }
}

pub(super) fn absent() -> &'static [&'static str] {
    if program().is_some() { &[] } else { &[ABSENT] }
}

fn program() -> Option<OsString> {
    env::var_os(VARIABLE).filter(|program| !program.is_empty())
}

fn connect(stage: &Stage) -> Box<dyn Calls> {
    let program = program().expect("it is no candidate without");
    let mut command = Command::new(program);
    command.arg(stage.server.url()).env(WITHOUT_TLS.0, WITHOUT_TLS.1);
    Box::new(Remote::start(&mut command))
}
