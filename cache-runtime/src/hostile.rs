//! What strangers may write, given to whoever reads it: the fuzz targets, and a sample of them in every test run.
//!
//! Nothing here may panic, loop, or make more of its input than a small multiple of it.

use std::collections::HashSet;

use bytes::Bytes;

use crate::bus::{self, Notice};
use crate::codec::{Codec, coders};
use crate::envelope::{self, Envelope};
use crate::names;
use crate::redis::{Frames, Target, frames};
use crate::routes::{Happened, Plan, Table, sample};
use crate::store::{Message, Position};
use crate::token::Token;

const KEY: &str = "shop:v1:user:42:7";

/// The most that a value may have here.
const MOST: usize = 1 << 16;

/// The table of a process with two functions.
fn table() -> Table {
    let table = Table::new("shop", [7; 32]);
    table.link(&[&sample::USER, &sample::SECRET]);
    table
}

/// Bytes at an entry: as they are, and with a checksum that fits.
pub fn envelope(bytes: &[u8]) {
    for slot in [bytes.to_vec(), envelope::resealed(KEY, bytes)] {
        let Ok(opened) = Envelope::read(KEY, &slot, MOST) else { continue };
        assert!(opened.payload.len() <= MOST, "more than is accepted");
        for coder in coders() {
            // The digest is one in 2^64: whatever is decoded belongs to another type.
            let _ = coder.decode(&opened.payload, opened.envelope.codec, opened.envelope.digest);
        }
    }
}

/// A payload by every codec, for every type.
pub fn payload(bytes: &[u8]) {
    for coder in coders() {
        for &codec in Codec::FALLBACKS {
            if let Ok(decoded) = coder.decode(bytes, codec, 0) {
                assert!(decoded.bytes <= 4_096 * (bytes.len() + 1), "{} bytes of {}", decoded.bytes, bytes.len());
            }
        }
    }
}

/// Messages of the bus: fields are lines, name and value with a tab between them; an empty line ends a message.
pub fn messages(bytes: &[u8]) {
    let table = table();
    let messages: Vec<_> = fields(bytes)
        .split(|(name, _)| name.is_empty())
        .map(|fields| Message { position: Position::default(), fields: fields.to_vec() })
        .collect();
    for Message { fields, .. } in &messages {
        let notice = Notice::read(fields);
        let again: Vec<_> = notice.fields().into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
        let again = Notice::read(&again);
        assert_eq!((again.events, again.keys, again.covered), (notice.events, notice.keys, notice.covered));
    }
    let (texts, names) = bus::effects(&messages, &table);
    assert!(texts.len() <= bytes.len() + 3 * messages.len(), "{} texts of {} bytes", texts.len(), bytes.len());
    check_names(&names);
}

/// Routes of other processes, then an event: fields are lines, name and value with a tab between them; the value behind an empty name is the event.
pub fn routes(bytes: &[u8]) {
    let table = table();
    let mut fields = fields(bytes);
    let json = fields.iter().position(|(name, _)| name.is_empty()).map(|at| fields.remove(at).1);
    let fields: Vec<_> =
        fields.into_iter().map(|(name, value)| (name, String::from_utf8_lossy(&value).into_owned())).collect();
    table.absorb(Some("1".to_owned()), &fields);
    for event in ["UserUpdated", "TenantPurged", "Other"] {
        let json = json.as_deref().unwrap_or(br#"{"tenant":42,"id":7}"#);
        check_plan(&table.plan(&Happened { name: event, json, value: None }));
    }
    let own = table.plan(&Happened { name: "UserUpdated", json: br#"{"tenant":42,"id":7}"#, value: None });
    assert!(own.named.iter().any(|named| named.names.iter().any(|name| name == KEY)), "nobody takes a route away");
}

/// What a server answers: found to end at the same places whether it comes at once or byte by byte.
pub fn replies(bytes: &[u8]) {
    let whole = ends(bytes, bytes.len().max(1));
    assert_eq!(ends(bytes, 1), whole);
    let mut begin = 0;
    for end in whole {
        let frame = Bytes::copy_from_slice(&bytes[begin..end]);
        let strings = frames::strings(&frame, |string| string.map_or(0, |string| string.len()));
        assert!(strings.is_none_or(|lengths| lengths.iter().sum::<usize>() <= frame.len()));
        let _ = frames::value(&frame);
        begin = end;
    }
}

/// Where replies end that come in pieces of this length.
fn ends(bytes: &[u8], piece: usize) -> Vec<usize> {
    let (mut frames, mut begin, mut ends) = (Frames::new(), 0, Vec::new());
    for arrived in (piece..bytes.len()).step_by(piece).chain([bytes.len()]) {
        loop {
            match frames.next(&bytes[begin..arrived]) {
                Ok(Some(length)) => begin += length,
                Ok(None) => break,
                Err(_) => return ends,
            }
            ends.push(begin);
        }
    }
    ends
}

/// A URL: what is refused does not show the password, and neither does what is printed.
pub fn url(text: &str) {
    const PASSWORD: &str = "hunter2";
    let shown = match text.parse::<Target>() {
        Ok(target) => {
            let Target { layout, login, .. } = &target;
            if layout.to_string().contains(PASSWORD) {
                // It is no password where a host or a path stands.
                return;
            }
            // Nor where a user stands, however that is written.
            let shown = format!("{layout} {login:?}");
            login.user.as_ref().map_or(shown.clone(), |user| shown.replace(&format!("{user:?}"), ""))
        }
        Err(problem) => problem,
    };
    assert!(!shown.contains(PASSWORD), "{shown}");
}

/// A token from a header.
pub fn token(text: &str) {
    if let Ok(token) = text.parse::<Token>() {
        assert_eq!(token.to_string().parse(), Ok(token));
    }
}

fn fields(bytes: &[u8]) -> Vec<(String, Vec<u8>)> {
    let field = |line: &[u8]| {
        let at = line.iter().position(|byte| *byte == b'\t').unwrap_or(line.len());
        let (name, value) = line.split_at(at);
        (String::from_utf8_lossy(name).into_owned(), value.get(1..).unwrap_or_default().to_vec())
    };
    bytes.split(|byte| *byte == b'\n').map(field).collect()
}

fn check_plan(plan: &Plan) {
    let texts: HashSet<_> = plan.texts().collect();
    assert_eq!(texts.len(), plan.named.len(), "each text once");
    check_names(&plan.named.iter().flat_map(|named| &named.names).cloned().collect::<Vec<_>>());
}

/// Nothing is unlinked but entries and stamps of this application.
fn check_names(names: &[String]) {
    for name in names {
        assert!(name.starts_with("shop:v") || name.starts_with("shop:group:"), "{name}");
        assert!(name.len() <= names::LONGEST, "{} bytes", name.len());
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::Path;

    use super::*;

    /// How many changed seeds each target is given.
    const MUTATIONS: u64 = 4_000;

    fn mutated(seed: &[u8], dice: &mut fastrand::Rng) -> Vec<u8> {
        let mut bytes = seed.to_vec();
        for _ in 0..dice.usize(1..6) {
            let at = dice.usize(..=bytes.len());
            match dice.u8(..4) {
                0 => bytes.truncate(at),
                1 => bytes.insert(at, dice.u8(..)),
                2 if at < bytes.len() => bytes[at] ^= 1 << dice.u8(..8),
                _ => {
                    let part = seed.get(dice.usize(..=seed.len())..).unwrap_or_default();
                    bytes.splice(at..at, part.iter().take(dice.usize(..64)).copied());
                }
            }
        }
        bytes
    }

    fn check(target: &str, run: impl Fn(&[u8])) {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/seeds").join(target);
        let mut seeds: Vec<_> = fs::read_dir(&folder)
            .unwrap_or_else(|error| panic!("{}: {error}", folder.display()))
            .map(|entry| entry.expect("a file").path())
            .collect();
        seeds.sort();
        assert!(!seeds.is_empty(), "no seeds for {target}");
        let mut dice = fastrand::Rng::with_seed(7);
        for path in &seeds {
            let seed = fs::read(path).expect("a file");
            run(&seed);
            for _ in 0..MUTATIONS / seeds.len() as u64 {
                run(&mutated(&seed, &mut dice));
            }
        }
    }

    fn check_text(target: &str, run: impl Fn(&str)) {
        check(target, |bytes| run(&String::from_utf8_lossy(bytes)));
    }

    #[test]
    fn whatever_stands_at_an_entry_is_read() {
        check("envelope", envelope);
        check("payload", payload);
    }

    #[test]
    fn whatever_stands_on_the_bus_is_read() {
        check("messages", messages);
        check("routes", routes);
    }

    #[test]
    fn whatever_a_server_answers_is_read() {
        check("replies", replies);
    }

    #[test]
    fn whatever_a_url_or_a_header_says_is_read() {
        check_text("url", url);
        check_text("token", token);
    }
}
