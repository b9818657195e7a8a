//! A peer of the second tier, for the program of the benches that starts this one and asks it line by line: see
//! `harness::remote`.

mod peer;

use std::process::ExitCode;

use harness::{remote, stage::Stage};

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [url] = arguments.as_slice() else {
        eprintln!("usage: cache-benches-apart URL, as `cache-benches` does it");
        return ExitCode::from(2);
    };
    let stage = Stage::at(url);
    remote::serve(&stage, &*peer::connect(&stage));
    ExitCode::SUCCESS
}
