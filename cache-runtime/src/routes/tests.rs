//! One text, whoever renders it; and a table that forgets nothing.

use proptest::prelude::*;
use serde::Serialize;

use cache_spec::pattern::Pattern;

use super::event::EventJson;
use super::sample::{Id, ODD, SECRET, TenantPurged, USER, UserUpdated};
use super::{Happened, Table};
use crate::key::{Draft, HashKey, Hashed, KeyPart, KeyWriter, Piece, key_draft};

const KEY: HashKey = [3; 32];

/// What the derive makes of an enum.
#[derive(Clone, Debug, Serialize)]
enum Scope {
    All,
    Of(String),
    Maybe(Option<u8>),
    Between(i64, Option<char>),
    Named { low: u16, high: String },
    One { only: bool },
    Inner(Box<Scope>),
}

impl KeyPart for Scope {
    type Canonical = Self;

    fn write(&self, key: &mut KeyWriter<'_>) {
        match self {
            Self::All => key.variant(0, "All", |_| ()),
            Self::Of(text) => key.variant(1, "Of", |key| key.item(text)),
            Self::Maybe(number) => key.variant(2, "Maybe", |key| key.item(number)),
            Self::Between(low, high) => key.variant(3, "Between", |key| {
                key.item(low);
                key.item(high);
            }),
            Self::Named { low, high } => key.variant(4, "Named", |key| {
                key.item(low);
                key.item(high);
            }),
            Self::One { only } => key.variant(5, "One", |key| key.item(only)),
            Self::Inner(inner) => key.variant(6, "Inner", |key| key.item(inner)),
        }
    }
}

/// What the derive makes of structs.
#[derive(Clone, Debug, Serialize)]
struct Place {
    shelf: u32,
    bin: Newtype,
}

#[derive(Clone, Debug, Serialize)]
struct Newtype((i128, String));

/// A newtype whose field has a name.
#[derive(Clone, Debug, Serialize)]
struct Single<T> {
    value: T,
}

impl<T: KeyPart> KeyPart for Single<T> {
    type Canonical = Self;

    fn write(&self, key: &mut KeyWriter<'_>) {
        self.value.write(key);
    }
}

impl KeyPart for Newtype {
    type Canonical = Self;

    fn write(&self, key: &mut KeyWriter<'_>) {
        self.0.write(key);
    }
}

impl KeyPart for Place {
    type Canonical = Self;

    fn write(&self, key: &mut KeyWriter<'_>) {
        key.tuple(|key| {
            key.item(&self.shelf);
            key.item(&self.bin);
        });
    }
}

fn awkward() -> impl Strategy<Value = String> {
    prop_oneof!["[:a%*{}\\[\\]\n!,()\"\\\\\u{0}]{0,6}", any::<String>(), "[0-9.eE+-]{0,4}", Just(String::new())]
}

fn scope() -> impl Strategy<Value = Scope> {
    let leaf = prop_oneof![
        Just(Scope::All),
        awkward().prop_map(Scope::Of),
        any::<Option<u8>>().prop_map(Scope::Maybe),
        any::<(i64, Option<char>)>().prop_map(|(low, high)| Scope::Between(low, high)),
        (any::<u16>(), awkward()).prop_map(|(low, high)| Scope::Named { low, high }),
        any::<bool>().prop_map(|only| Scope::One { only }),
    ];
    leaf.prop_recursive(3, 4, 1, |inner| inner.prop_map(|inner| Scope::Inner(Box::new(inner))))
}

#[derive(Serialize)]
struct Event<'a, T> {
    other: u8,
    value: &'a T,
}

#[track_caller]
fn check<T: KeyPart + Serialize>(value: &T) {
    let json = serde_json::to_vec(&Event { other: 1, value }).expect("JSON");
    let render = |pattern| {
        let pattern = Pattern::parse(pattern).expect("no mistakes");
        EventJson::read(&json).text(&pattern, &KEY).expect("usable")
    };
    let typed = |draft: Draft| draft.into_text(&KEY);
    let pieces = [Piece::Literal("x:"), Piece::Value(0)];
    assert_eq!(
        render("x:<value>"),
        typed(key_draft(String::new(), &pieces, &(value,))),
        "{}",
        String::from_utf8_lossy(&json)
    );
    assert_eq!(render("x:<value:hash>"), typed(key_draft(String::new(), &pieces, &(&Hashed(value),))));
}

proptest! {
    #[test]
    fn integers_of_all_widths(
        a in any::<(u8, u16, u32, u64, u128, usize)>(),
        b in any::<(i8, i16, i32, i64, i128, isize)>(),
    ) {
        check(&a);
        check(&b);
        check(&a.4);
        check(&b.4);
        check(&a.3);
        check(&b.0);
    }

    #[test]
    fn text_and_characters(text in awkward(), character in any::<char>(), flag in any::<bool>()) {
        check(&text);
        check(&character);
        check(&flag);
        check(&(text.as_str(), (character, Some(flag))));
    }

    #[test]
    fn options(number in any::<Option<u64>>(), pair in proptest::option::of((awkward(), any::<Option<i8>>()))) {
        check(&number);
        check(&Some(number.unwrap_or_default()));
        check(&pair);
        check(&(pair, number));
    }

    #[test]
    fn enums_and_structs(scope in scope(), shelf in any::<u32>(), bin in (any::<i128>(), awkward())) {
        check(&scope);
        check(&Some(scope.clone()));
        let place = Place { shelf, bin: Newtype(bin) };
        check(&place);
        check(&Single { value: place.clone() });
        check(&Single { value: Single { value: scope.clone() } });
        check(&(Single { value: shelf }, place, scope));
    }

    #[test]
    fn any_bytes_are_no_panic(json in prop_oneof![any::<Vec<u8>>(), awkward().prop_map(String::into_bytes)]) {
        let pattern = Pattern::parse("x:<value>/<a.b.0:hash>").expect("no mistakes");
        let wrapped = [b"{\"value\":".as_slice(), &json, b"}"].concat();
        for json in [json, wrapped] {
            if let Ok(text) = EventJson::read(&json).text(&pattern, &KEY) {
                prop_assert!(text.starts_with("x:"));
            }
        }
    }
}

fn table() -> Table {
    let table = Table::new("shop", KEY);
    assert!(table.link(&[&USER, &SECRET]));
    assert!(!table.link(&[&USER, &SECRET]));
    table
}

fn foreign(event: &str, version: u32, keys: &str) -> (String, String) {
    let field = format!("other::f v{version}: {event} => {keys}");
    let value = format!(r#"{{"function":"other::f","version":{version},"event":"{event}","keys":"{keys}"}}"#);
    (field, value)
}

fn happened<'a>(name: &'a str, json: &'a str) -> Happened<'a> {
    Happened { name, json: json.as_bytes(), value: None }
}

fn names(plan: &super::Plan) -> Vec<&str> {
    let mut names: Vec<_> = plan.named.iter().flat_map(|named| &named.names).map(String::as_str).collect();
    names.sort_unstable();
    names
}

#[test]
fn an_event_names_keys_of_every_version_and_of_functions_that_are_not_linked() {
    let table = table();
    let fields = [foreign("UserUpdated", 2, "user:<tenant>:<id>"), foreign("UserUpdated", 9, "old:<tenant>/<id>")];
    table.absorb(Some("v".to_owned()), &fields);
    let plan = table.plan(&happened("UserUpdated", r#"{"id":7,"tenant":42}"#));
    let secret = crate::key::hashed("7", &KEY);
    assert_eq!(
        names(&plan),
        ["shop:v1:user:42:7", "shop:v2:user:42:7", &format!("shop:v3:secret:{secret}"), "shop:v9:old:42/7",]
    );
    assert_eq!(plan.version.as_deref(), Some("v"));
    assert_eq!(plan.texts().count(), 3, "one text is of two versions");
    assert_eq!(plan.functions.len(), 2);
    assert!(plan.spelled.is_empty() && plan.unusable.is_empty());
}

#[test]
fn a_group_has_one_stamp_for_all_versions() {
    let table = table();
    table.absorb(None, &[foreign("TenantPurged", 2, "user:<tenant>:*")]);
    let value = TenantPurged { tenant: 42 };
    let json = serde_json::to_vec(&value).expect("JSON");
    let plan = table.plan(&Happened { name: "TenantPurged", json: &json, value: Some(&value) });
    assert_eq!(names(&plan), ["shop:group:user:42:*"]);
    assert_eq!(plan.named[0].prefix, "user:");
}

#[test]
fn a_text_that_json_does_not_show_is_spelled_out() {
    let table = table();
    let plan_of = |id| {
        let value = UserUpdated { tenant: 1, id: Id(id) };
        let json = serde_json::to_vec(&value).expect("JSON");
        table.plan(&Happened { name: "UserUpdated", json: &json, value: Some(&value) })
    };
    assert!(plan_of(ODD - 1).spelled.is_empty());
    let plan = plan_of(ODD);
    assert_eq!(plan.spelled, ["user:1:1000".to_owned(), format!("secret:{}", crate::key::hashed("1000", &KEY))]);
    assert!(names(&plan).contains(&"shop:v1:user:1:1000"), "the value itself knows better than its JSON");
}

#[test]
fn an_event_of_another_type_under_the_same_name_goes_by_its_json() {
    let value = TenantPurged { tenant: 1 };
    let event = Happened { value: Some(&value), ..happened("UserUpdated", r#"{"tenant":1,"id":2}"#) };
    assert!(names(&table().plan(&event)).contains(&"shop:v1:user:1:2"));
}

#[test]
fn an_unusable_event_says_why_and_still_names_what_it_can() {
    let table = table();
    let plan = table.plan(&happened("UserUpdated", r#"{"id":7}"#));
    assert_eq!(plan.unusable.len(), 1);
    assert_eq!(plan.named.len(), 1, "the secret needs the id alone");
    assert!(table.plan(&happened("Unknown", "{")).unusable.is_empty());
    assert!(table.listens_to("UserUpdated") && !table.listens_to("Unknown"));
}

#[test]
fn texts_are_keys_in_every_version_or_groups() {
    let table = table();
    let texts = ["user:42:7", "user:42:*", "user:42:7"].map(str::to_owned);
    let plan = table.plan_texts(texts);
    assert_eq!(names(&plan), ["shop:group:user:42:*", "shop:v1:user:42:7", "shop:v3:user:42:7"]);
    assert_eq!(plan.named[0].prefix, "user");
    let plan = table.plan_key(&USER, "user:1:2".to_owned());
    assert_eq!(names(&plan), ["shop:v1:user:1:2", "shop:v3:user:1:2"]);
    assert_eq!(plan.named[0].prefix, "user:");
}

#[test]
fn the_table_forgets_nothing_and_skips_what_it_cannot_read() {
    let table = table();
    table.absorb(Some("a".to_owned()), &[foreign("E", 5, "e:<x>"), ("bad".to_owned(), "{".to_owned())]);
    table.absorb(Some("b".to_owned()), &[]);
    assert_eq!(table.version().as_deref(), Some("b"));
    assert!(table.listens_to("E"));
    let everywhere = table.plan_texts(["x".to_owned()]);
    assert_eq!(names(&everywhere), ["shop:v1:x", "shop:v3:x", "shop:v5:x"]);
}

#[test]
fn a_route_that_was_read_before_it_was_linked_is_linked() {
    let (first, second) = (table(), Table::new("shop", KEY));
    second.absorb(None, &first.fields());
    assert!(second.fields().is_empty());
    second.link(&[&USER, &SECRET]);
    let sorted = |table: &Table| {
        let mut fields = table.fields();
        fields.sort();
        fields
    };
    assert_eq!(sorted(&second), sorted(&first));
    let plan = second.plan(&happened("UserUpdated", r#"{"tenant":1,"id":2}"#));
    assert_eq!((plan.named.len(), plan.functions.len()), (2, 2), "each once");
}

#[test]
fn sweeps_begin_like_every_name_of_a_text() {
    let table = table();
    assert_eq!(table.sweeps("user:"), ["shop:v1:user:", "shop:v3:user:", "shop:group:user:"]);
    assert!(table.sweeps(&"x".repeat(600)).iter().all(|prefix| prefix.len() < 480));
}
