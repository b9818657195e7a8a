//! The fleet: what it prints, and that nobody was served an older price than promised.

use std::sync::LazyLock;

use tempfile::TempDir;

use crate::built;

/// What the fleet printed.
struct Run {
    code: Option<i32>,
    printed: String,
    complaints: String,
    files_left: usize,
}

static FLEET: LazyLock<Run> = LazyLock::new(|| run(|fleet| fleet));

fn run(change: impl FnOnce(&mut std::process::Command) -> &mut std::process::Command) -> Run {
    let folder = TempDir::new().expect("a temporary folder");
    let mut fleet = built::example("fleet");
    let output = change(fleet.env("TMPDIR", folder.path())).output().expect("the fleet starts");
    Run {
        code: output.status.code(),
        printed: built::text(output.stdout),
        complaints: built::text(output.stderr),
        files_left: folder.path().read_dir().expect("the folder is still there").count(),
    }
}

/// The numbers in a row of the table: reads, then reads from memory, from Redis, loaded, joined, other.
#[track_caller]
fn counts(name: &str) -> Vec<u64> {
    let Run { printed, .. } = &*FLEET;
    let row = printed.lines().find_map(|line| line.strip_prefix(name));
    let row = row.unwrap_or_else(|| panic!("no row `{name}` in:\n{printed}"));
    row.split_whitespace().map_while(|cell| cell.parse().ok()).collect()
}

#[test]
fn nobody_is_served_an_older_price_than_promised() {
    let Run { code, printed, complaints, .. } = &*FLEET;
    assert_eq!((*code, complaints.as_str()), (Some(0), ""), "{printed}");
    assert!(printed.contains("older than promised: 0 of "), "{printed}");
}

#[test]
fn three_processes_load_once() {
    let Run { printed, .. } = &*FLEET;
    assert!(printed.contains("loads in all: 1\n"), "{printed}");
}

#[test]
fn every_process_has_its_rows() {
    for name in ["A", "B", "C"] {
        let price = counts(&format!("{name}  price"));
        assert!(price.len() == 6 && price[0] > 0 && price[1] > 0, "{name}: {price:?}");
        assert_eq!(price[0], price[1..].iter().sum::<u64>(), "{name}: {price:?}");
        let total = counts(&format!("{name}  total"));
        assert!(total[1] == 0 && total[2] > 0, "never from memory: {total:?}");
    }
}

#[test]
fn the_one_without_a_bus_goes_on_from_redis() {
    let Run { printed, .. } = &*FLEET;
    let served = printed.lines().find_map(|line| line.trim().strip_prefix("B was served "));
    let served = served.unwrap_or_else(|| panic!("{printed}"));
    assert!(served.ends_with(" times from redis"), "{served}");
    assert!(printed.contains("B serves from memory again"), "{printed}");
}

#[test]
fn it_leaves_no_files_behind() {
    assert_eq!(FLEET.files_left, 0);
}

#[test]
fn without_a_redis_server_it_says_what_to_install() {
    let Run { code, printed, complaints, .. } = run(|fleet| fleet.env("PATH", ""));
    assert_eq!((code, printed.as_str()), (Some(2), ""));
    assert!(
        complaints.starts_with("fleet: there is no `redis-server` on this machine. Install Redis 7.0"),
        "{complaints}"
    );
}

#[test]
fn it_takes_no_arguments() {
    let Run { code, complaints, .. } = run(|fleet| fleet.arg("--help"));
    assert_eq!(code, Some(2));
    assert!(complaints.contains("cargo run --release --example fleet"), "{complaints}");
}
