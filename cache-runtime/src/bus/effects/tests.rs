use super::*;
use crate::key::hashed;
use crate::routes::sample;

const KEY: [u8; 32] = [0; 32];

fn table() -> Table {
    let table = Table::new("shop", KEY);
    table.link(&[&sample::USER, &sample::SECRET]);
    table
}

fn message(fields: &[(&str, &str)]) -> Message {
    let fields = fields.iter().map(|(name, value)| ((*name).to_owned(), value.as_bytes().to_vec())).collect();
    Message { fields, ..Message::default() }
}

fn effects(messages: &[&[(&str, &str)]]) -> Effects {
    let messages: Vec<_> = messages.iter().map(|fields| message(fields)).collect();
    Effects::of(&messages, &table(), "me")
}

fn names(effects: &Effects) -> Vec<String> {
    let mut names = effects.names();
    names.sort();
    names
}

const UPDATED: &[(&str, &str)] = &[("event", "UserUpdated"), ("data", r#"{"tenant":42,"id":7}"#)];

fn secret() -> String {
    format!("secret:{}", hashed("7", &KEY))
}

#[test]
fn a_foreign_event_is_unlinked_and_fenced_off() {
    let effects = effects(&[UPDATED]);
    assert_eq!(effects.texts, ["user:42:7".to_owned(), secret()]);
    assert_eq!(names(&effects), ["shop:v1:user:42:7".to_owned(), format!("shop:v3:{}", secret())]);
    assert_eq!((effects.events.len(), effects.heard, effects.everything), (1, 1, false));
}

#[test]
fn what_the_publisher_has_unlinked_is_not_unlinked_again() {
    let covered = ("covered", r#"["shop:v1:user:42:7"]"#);
    let effects = effects(&[&[UPDATED[0], UPDATED[1], covered, ("by", "other")]]);
    assert_eq!(names(&effects), [format!("shop:v3:{}", secret())]);
    assert_eq!(effects.texts.len(), 2, "both are fenced off");
}

#[test]
fn what_one_message_covers_another_may_not() {
    let covered = &[UPDATED[0], UPDATED[1], ("covered", r#"["shop:v1:user:42:7"]"#)];
    assert_eq!(names(&effects(&[covered, UPDATED])).len(), 2);
    assert_eq!(names(&effects(&[UPDATED, covered])).len(), 2);
}

#[test]
fn own_messages_were_applied_when_they_were_published() {
    let effects = effects(&[&[UPDATED[0], UPDATED[1], ("by", "me")], &[("all", "1"), ("by", "me")]]);
    assert_eq!((effects.texts.len(), effects.events.len(), effects.heard, effects.everything), (0, 0, 0, false));
}

#[test]
fn keys_are_of_every_version_and_groups_of_none() {
    let effects = effects(&[&[("keys", r#"["user:1:2","user:1:*"]"#)]]);
    assert_eq!(names(&effects), ["shop:group:user:1:*", "shop:v1:user:1:2", "shop:v3:user:1:2"]);
    assert_eq!(effects.texts, ["user:1:2", "user:1:*"]);
}

#[track_caller]
fn check(fields: &[(&str, &str)], everything: bool, flaws: &[Flaw]) {
    let effects = effects(&[fields]);
    assert_eq!((effects.everything, effects.flaws.as_slice()), (everything, flaws), "{fields:.60?}");
}

#[test]
fn what_might_mean_anything_means_everything() {
    let long = "x".repeat(crate::store::LONGEST_MESSAGE);
    check(&[("all", "1")], true, &[]);
    check(&[("keys", "user:1:2")], true, &[Flaw::Keys]);
    check(&[("event", "UserUpdated"), ("data", "{broken")], true, &[]);
    check(&[("event", "UserUpdated"), ("data", "{}")], true, &[]);
    check(&[("event", "UserUpdated")], true, &[]);
    check(&[("event", "UserUpdated"), ("data", &long)], true, &[Flaw::Long]);
    check(&[("event", "UserUpdated"), ("event", "Other"), ("data", "{}")], true, &[Flaw::Data]);
    check(&[("keys", "[\"a\"]"), ("x", &long)], true, &[Flaw::Long]);
}

#[test]
fn what_no_function_listens_to_means_nothing() {
    let long = "x".repeat(crate::store::LONGEST_MESSAGE);
    check(&[("event", "Other"), ("data", "{broken")], false, &[]);
    check(&[("event", "Other"), ("data", &long)], false, &[Flaw::Long]);
    check(&[("event", "Other"), ("event", "Another"), ("data", "{}")], false, &[Flaw::Data]);
    check(&[("note", "hello")], false, &[Flaw::Empty]);
    check(&[], false, &[Flaw::Empty]);
}

#[test]
fn a_publisher_of_these_processes_spells_out_what_json_does_not_show() {
    check(
        &[("event", "UserUpdated"), ("data", "{\"tenant\":1}"), ("keys", "[\"user:1:2\"]"), ("by", "other")],
        false,
        &[],
    );
}
