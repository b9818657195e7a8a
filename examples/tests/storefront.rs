//! The storefront: its table, its flags, and Ctrl-C.

use std::path::Path;
use std::sync::LazyLock;

use tempfile::TempDir;

use crate::built;

/// What a small shop printed when it ran to its end.
struct Run {
    succeeded: bool,
    table: String,
    progress: String,
    files_left: usize,
}

static SMALL_SHOP: LazyLock<Run> = LazyLock::new(|| small_shop(&[]));

fn small_shop(variables: &[(&str, &str)]) -> Run {
    let folder = TempDir::new().expect("a temporary folder");
    let mut shop = built::example("storefront");
    shop.args(["--seconds", "1", "--products=2000", "--threads", "2"]).envs(variables.iter().copied());
    let output = shop.env("TMPDIR", folder.path()).output().expect("the storefront starts");
    Run {
        succeeded: output.status.success(),
        table: built::text(output.stdout),
        progress: built::text(output.stderr),
        files_left: files(folder.path()),
    }
}

fn files(folder: &Path) -> usize {
    folder.read_dir().expect("the folder is still there").count()
}

/// The cells of the row with this name.
#[track_caller]
fn row<'a>(table: &'a str, name: &str) -> Vec<&'a str> {
    let cells = table.lines().find_map(|line| line.strip_prefix(name));
    let cells = cells.unwrap_or_else(|| panic!("no row `{name}` in:\n{table}"));
    cells.split("  ").map(str::trim).filter(|cell| !cell.is_empty()).collect()
}

#[track_caller]
fn number(cell: &str) -> f64 {
    let digits = cell.trim_end_matches([' ', '%']).replace(',', "");
    digits.parse().unwrap_or_else(|_| panic!("`{cell}` is no number"))
}

#[test]
fn it_reads_nothing_stale() {
    let Run { succeeded, table, progress, .. } = &*SMALL_SHOP;
    assert!(succeeded, "{table}{progress}");
    assert_eq!(row(table, "stale reads"), ["0", "0", "0"]);
    assert_eq!(row(table, "failed requests"), ["0", "0", "0"]);
}

#[test]
fn its_table_shows_every_phase_and_every_function() {
    let table = &SMALL_SHOP.table;
    for name in ["requests/s", "database queries/s", "values checked"] {
        let cells = row(table, name);
        assert!(cells.len() == 3 && cells.iter().all(|cell| number(cell) > 0.0), "{table}");
    }
    for name in ["reading, p50", "reading, p99", "writing, p50", "writing, p99"] {
        assert_eq!(row(table, name).len(), 3, "{table}");
    }
    for function in ["product_page", "price", "inventory", "recommendations", "orders"] {
        assert!((0.0..100.0).contains(&number(row(table, function)[1])), "{table}");
    }
    assert!(number(row(table, "inventory")[1]) > 0.0, "{table}");
}

#[test]
fn a_fifth_of_the_products_takes_four_fifths_of_the_views() {
    let table = &SMALL_SHOP.table;
    let words: Vec<_> = table.split_whitespace().collect();
    let took = words.iter().position(|word| *word == "took").expect("the table says it");
    assert!((76.0..84.0).contains(&number(words[took + 1])), "{table}");
}

#[test]
fn where_nobody_watches_the_progress_is_plain_lines() {
    let progress = &SMALL_SHOP.progress;
    assert!(!progress.contains(['\r', '\x1b']), "{progress:?}");
    for part in ["seeding 2,000 products", "without cache, 1 s", "cache, cold, 1 s", "cache, warm, 1 s"] {
        assert!(progress.contains(part), "{progress}");
    }
}

#[test]
fn it_leaves_no_files_behind() {
    assert_eq!(SMALL_SHOP.files_left, 0);
}

#[test]
fn help_names_every_flag() {
    let output = built::run("storefront", &["--help"]);
    assert!(output.status.success());
    let help = built::text(output.stdout);
    for flag in ["--seconds", "--threads", "--products", "--help"] {
        assert!(help.contains(flag), "{help}");
    }
}

#[test]
fn a_wrong_flag_is_refused_with_what_is_allowed() {
    for (flags, complaint) in [
        (
            &["--second", "3"][..],
            "unknown flag `--second`; there are `--seconds`, `--threads`, `--products` and `--help`",
        ),
        (&["--seconds"], "`--seconds` needs a number after it"),
        (&["--seconds", "0"], "`--seconds` takes a whole number from 1 to 86400, not `0`"),
        (&["--threads=x"], "`--threads` takes a whole number from 1 to 256, not `x`"),
        (&["--products", "-1"], "`--products` takes a whole number from 100 to 1000000, not `-1`"),
    ] {
        let output = built::run("storefront", flags);
        assert_eq!(output.status.code(), Some(2), "{flags:?}");
        assert_eq!(built::text(output.stderr), format!("storefront: {complaint}\n"));
        assert_eq!(built::text(output.stdout), "");
    }
}

#[cfg(unix)]
mod over_redis {
    use super::*;
    use crate::redis_server::RedisServer;

    #[test]
    fn a_new_process_finds_in_redis_what_another_has_loaded() {
        let server = RedisServer::start().expect("a redis-server");
        let Run { succeeded, table, progress, .. } = small_shop(&[("CACHE_URL", &server.url())]);
        assert!(succeeded, "{table}{progress}");
        assert_eq!(row(&table, "stale reads"), ["0", "0", "0", "0"]);
        assert_eq!(row(&table, "failed requests"), ["0", "0", "0", "0"]);
        let hits = row(&table, "hits in Redis");
        assert!(hits.len() == 4 && hits[0] == "0" && number(hits[3]) > 0.0, "{table}");
        assert_eq!(row(&table, "product_page").len(), 3 + 5, "{table}");
        assert!(number(row(&table, "inventory")[7]) > 0.0, "{table}");
        assert!(progress.contains("new process, 1 s"), "{progress}");
    }

    #[test]
    fn a_redis_that_is_not_there_is_named_at_once() {
        for (url, complaint) in [("redis://127.0.0.1:1", "redis: "), ("http://x", "an unknown scheme")] {
            let Run { succeeded, table, progress, files_left } = small_shop(&[("CACHE_URL", url)]);
            assert!(!succeeded && progress.contains(complaint), "{progress}");
            assert_eq!((table.as_str(), files_left), ("", 0));
        }
    }
}

#[cfg(unix)]
mod interrupted {
    use std::io::{BufRead as _, BufReader, Read as _};
    use std::process::Stdio;

    use rustix::process::{Pid, Signal, kill_process};

    use super::*;

    /// Presses Ctrl-C when the progress speaks of `part`; returns the table.
    #[track_caller]
    fn table_when_interrupted(part: &str, flags: &[&str]) -> String {
        let folder = TempDir::new().expect("a temporary folder");
        let mut shop = built::example("storefront");
        shop.args(flags).env("TMPDIR", folder.path()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut shop = shop.spawn().expect("the storefront starts");
        let mut progress = BufReader::new(shop.stderr.take().expect("it is piped")).lines();
        let reached = progress.any(|line| line.is_ok_and(|line| line.starts_with(part)));
        assert!(reached, "the storefront ended before `{part}`");
        kill_process(Pid::from_child(&shop), Signal::INT).expect("it is running");
        // It writes on; nobody reading would stop it for another reason.
        progress.for_each(drop);
        let mut table = String::new();
        let mut stdout = shop.stdout.take().expect("it is piped");
        stdout.read_to_string(&mut table).expect("it is text");
        assert!(shop.wait().expect("it is ours").success(), "{table}");
        assert_eq!(files(folder.path()), 0, "the storefront leaves files behind");
        table
    }

    #[test]
    fn while_seeding_it_ends_at_once() {
        let table = table_when_interrupted("seeding", &["--products", "1000000"]);
        assert_eq!(table, "Stopped by Ctrl-C before the traffic began.\n");
    }

    #[test]
    fn in_the_first_phase_it_prints_that_phase() {
        let flags = ["--seconds", "86400", "--products", "2000"];
        let table = table_when_interrupted("without cache", &flags);
        assert_eq!(row(&table, "stale reads"), ["0"]);
        assert!(table.ends_with("Stopped by Ctrl-C.\n"), "{table}");
    }

    #[test]
    fn in_the_second_phase_it_prints_the_first_too() {
        let flags = ["--seconds", "4", "--products", "2000"];
        let table = table_when_interrupted("cache, cold", &flags);
        assert!(matches!(row(&table, "stale reads")[..], ["0", "0", ..]), "{table}");
        assert!(table.ends_with("Stopped by Ctrl-C.\n"), "{table}");
    }
}
