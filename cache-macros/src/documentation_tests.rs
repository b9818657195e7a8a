//! The tables in the documentation say what the tables in the code say.

use crate::keys::Key;

/// One list is shown for what is there, and one for what is not there yet.
#[track_caller]
fn check<A>(page: &str, keys: &[Key<A>]) {
    let (available, later): (Vec<_>, Vec<_>) = keys.iter().partition(|key| key.available);
    for keys in [available, later] {
        let rows: String = keys.iter().map(|key| row(key)).collect();
        assert!(page.contains(&rows), "this is missing:\n{rows}");
    }
}

fn row<A>(key: &Key<A>) -> String {
    format!("| `{}` | {} |\n", key.form, key.meaning)
}

#[test]
fn cached() {
    check(include_str!("../docs/cached.md"), crate::cached::args::KEYS);
}

#[test]
fn emits() {
    check(include_str!("../docs/emits.md"), crate::emits::args::KEYS);
}

#[test]
fn event() {
    check(include_str!("../docs/event.md"), crate::event::KEYS);
}

#[test]
fn key_part() {
    check(include_str!("../docs/key_part.md"), crate::key_part::KEYS);
}
