//! `#[derive(KeyPart)]` and `#[derive(Event)]`: what they write.

use std::marker::PhantomData;

use cache_runtime::{KeyPart, cached};
use cache_tests::cache;

#[derive(KeyPart)]
struct Newtype(u64);

#[derive(KeyPart)]
struct Named {
    name: &'static str,
}

#[derive(KeyPart)]
struct Pair(i8, bool);

#[derive(KeyPart)]
struct Several<'a> {
    first: &'a str,
    r#type: Option<char>,
    nested: (Newtype, Pair),
}

#[derive(KeyPart)]
struct Generic<T, U>(T, Option<U>)
where
    T: Clone;

/// An id of one type is not equal to an id of another, though both hold a number.
#[derive(KeyPart)]
struct Id<T> {
    number: u64,
    of: PhantomData<T>,
}

#[derive(KeyPart)]
enum Kind {
    Unit,
    r#Match(u64),
    Tuple(u64, String),
    Struct { from: u8, to: u8 },
    Empty(),
}

struct User;

#[cached(ttl = "5m", key = "newtype:<value>")]
async fn newtype(value: Newtype) -> u64 {
    value.0
}

#[cached(ttl = "5m", key = "named:<value>")]
async fn named(value: Named) -> String {
    value.name.to_owned()
}

#[cached(ttl = "5m", key = "pair:<value>")]
async fn pair(value: &Pair) -> bool {
    value.1 && value.0 > 0
}

#[cached(ttl = "5m", key = "several:<value>")]
async fn several(value: &Several<'_>) -> String {
    format!("{}{:?}{}{}", value.first, value.r#type, value.nested.0.0, value.nested.1.0)
}

#[cached(ttl = "5m", key = "generic:<value>")]
async fn generic(value: Generic<u64, &str>) -> u64 {
    value.0 + value.1.map_or(0, str::len) as u64
}

#[cached(ttl = "5m", key = "typed-id:<id>")]
async fn typed_id(id: Id<User>) -> u64 {
    let PhantomData = id.of;
    id.number
}

#[cached(ttl = "5m", key = "kind:<kind>")]
async fn kind(kind: Kind) -> u64 {
    match kind {
        Kind::Unit | Kind::Empty() => 0,
        Kind::r#Match(number) => number,
        Kind::Tuple(number, text) => number + text.len() as u64,
        Kind::Struct { from, to } => u64::from(to - from),
    }
}

#[tokio::test]
async fn every_form_has_a_text() {
    let check = |key: String, text: &str| assert_eq!(key.strip_prefix("test:v1:"), Some(text));
    cache()
        .await
        .scope(async {
            check(newtype_entry(Newtype(7)).key(), "newtype:7");
            check(named_entry(Named { name: "a b" }).key(), "named:a%20b");
            check(pair_entry(&Pair(-1, true)).key(), "pair:(-1,true)");
            let nested = (Newtype(1), Pair(2, false));
            let value = Several { first: "x", r#type: Some('y'), nested };
            check(several_entry(&value).key(), "several:(x,y,(1,(2,false)))");
            check(generic_entry(Generic(1, Some("z"))).key(), "generic:(1,z)");
            check(typed_id_entry(Id { number: 3, of: PhantomData }).key(), "typed-id:3");
            check(kind_entry(Kind::Unit).key(), "kind:Unit");
            check(kind_entry(Kind::r#Match(1)).key(), "kind:Match(1)");
            check(kind_entry(Kind::Tuple(1, "a".to_owned())).key(), "kind:Tuple(1,a)");
            check(kind_entry(Kind::Struct { from: 1, to: 2 }).key(), "kind:Struct(1,2)");
        })
        .await;
}

#[tokio::test]
async fn every_form_finds_its_value() {
    cache()
        .await
        .scope(async {
            assert_eq!(newtype(Newtype(7)).await, 7);
            assert_eq!(named(Named { name: "a" }).await, "a");
            assert!(pair(&Pair(1, true)).await);
            let value = Several { first: "x", r#type: None, nested: (Newtype(1), Pair(2, false)) };
            assert_eq!(several(&value).await, "xNone12");
            assert_eq!(generic(Generic(1, Some("z"))).await, 2);
            assert_eq!(typed_id(Id { number: 3, of: PhantomData }).await, 3);
            assert_eq!(kind(Kind::Unit).await, 0);
            assert_eq!(kind(Kind::r#Match(5)).await, 5);
            assert_eq!(kind(Kind::Tuple(1, "ab".to_owned())).await, 3);
            assert_eq!(kind(Kind::Struct { from: 1, to: 9 }).await, 8);
            assert_eq!(kind(Kind::Empty()).await, 0);
        })
        .await;
}
