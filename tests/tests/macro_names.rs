//! Generated code lives beside any name that a user chose.

use cache_tests::cache;

mod same_names {
    use cache_runtime::{Event, cached, emits};
    use serde::{Deserialize, Serialize};

    #[derive(Event, Serialize, Deserialize)]
    pub(super) struct Named {
        pub key: u64,
        pub event: u64,
    }

    /// The names that the expansion uses, and some more.
    #[cached(
        ttl = "5m",
        key = "same:<key>:<site>:<cache>:<result>:<shape>:<miss>:<event>:<lookup>:<function>:<output>:<value>",
        invalidate_on = "Named => same:<key>:*:*:*:*:*:<event>:*",
        skip(this, parts)
    )]
    #[expect(clippy::too_many_arguments, reason = "one for each name")]
    pub(super) async fn same_names(
        key: u64,
        site: u64,
        cache: u64,
        result: u64,
        shape: u64,
        miss: u64,
        event: u64,
        lookup: u64,
        function: u64,
        output: u64,
        value: u64,
        this: &u64,
        parts: &u64,
    ) -> Result<u64, u64> {
        let all = [key, site, cache, result, shape, miss, event, lookup, function, output, value];
        Ok(all.iter().sum::<u64>() + this + parts)
    }

    #[cached(ttl = "5m", key = "inline:<key>:<output>:<shape>", companions = off, skip(argument1))]
    pub(super) async fn inline(key: u64, output: u64, shape: u64, argument1: &u64) -> u64 {
        key + output + shape + argument1
    }

    #[emits(Named { key: kept, event: output + events })]
    pub(super) async fn emitting(kept: u64, output: u64, events: u64, cache: u64) -> Result<u64, ()> {
        if cache == 0 { Err(()) } else { Ok(cache) }
    }
}

/// Nothing in the prelude means what it says.
mod shadowed {
    #![allow(dead_code, unused_imports, unused_macros, reason = "they only stand in the way")]

    use cache_runtime::{Event, KeyPart, cached, emits};

    pub(super) struct Option;
    pub(super) struct Some;
    pub(super) struct None;
    pub(super) struct Ok;
    pub(super) struct Err;
    pub(super) struct Result;
    pub(super) struct Box;
    pub(super) struct String;
    pub(super) struct Vec;
    pub(super) struct Send;
    pub(super) struct Sync;
    pub(super) struct Future;
    pub(super) struct Function;
    pub(super) struct Spec;
    pub(super) struct Lookup;
    pub(super) struct Entry;
    pub(super) struct Shape;
    pub(super) struct Parts;
    pub(super) struct TypeId;
    pub(super) trait Clone {}
    pub(super) trait ToOwned {}
    pub(super) trait Into {}

    pub(super) mod std {}
    pub(super) mod core {}
    pub(super) mod alloc {}
    pub(super) mod cache_runtime_private {}
    pub(super) mod __private {}
    pub(super) mod inventory {}

    macro_rules! line {
        () => {
            compile_error!("the user's own macro")
        };
    }
    macro_rules! file {
        () => {
            compile_error!("the user's own macro")
        };
    }
    macro_rules! module_path {
        () => {
            compile_error!("the user's own macro")
        };
    }
    pub(super) use {file, line, module_path};

    #[derive(Event, serde::Serialize, serde::Deserialize)]
    pub(super) struct Changed {
        pub id: Id,
    }

    #[derive(KeyPart, serde::Serialize, serde::Deserialize, Debug, ::core::clone::Clone)]
    pub(super) struct Id(pub u64);

    #[derive(KeyPart, Debug)]
    pub(super) enum Kind {
        Small,
        Named { id: u64 },
        Pair(u64, bool),
    }

    #[cached(
        ttl = "5m",
        key = "shadowed:<id>:<kind>:<text:hash>",
        invalidate_on = "Changed => shadowed:<id>:*",
        own(text),
        l1 = "1m",
        negative_ttl = "1s"
    )]
    pub(super) async fn shadowed(id: Id, kind: Kind, text: &str) -> ::core::option::Option<u64> {
        match kind {
            Kind::Small => ::core::option::Option::Some(id.0),
            Kind::Named { id } | Kind::Pair(id, _) => ::core::option::Option::Some(id + text.len() as u64),
        }
    }

    #[cached(ttl = "5m", key = "shadowed-inline:<id>", companions = off)]
    pub(super) async fn inline(id: Id) -> u64 {
        id.0
    }

    #[emits(Changed { id })]
    pub(super) async fn change(id: Id) -> ::core::result::Result<(), ()> {
        if id.0 == 0 { ::core::result::Result::Err(()) } else { ::core::result::Result::Ok(()) }
    }
}

#[tokio::test]
async fn arguments_may_have_the_names_of_the_expansion() {
    cache()
        .await
        .scope(async {
            let call = || same_names::same_names(1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, &12, &13);
            assert_eq!(call().await, Ok(91));
            let entry = same_names::same_names_entry(1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11);
            assert_eq!(entry.key(), "test:v1:same:1:2:3:4:5:6:7:8:9:10:11");
            assert!(entry.peek().await.expect("embedded").is_some());
            // `emitting` says that key 1 and event 7 changed.
            assert_eq!(same_names::emitting(1, 3, 4, 0).await, Err(()));
            assert!(entry.peek().await.expect("embedded").is_some());
            assert_eq!(same_names::emitting(1, 3, 4, 1).await, Ok(1));
            assert!(entry.peek().await.expect("embedded").is_none());
            assert_eq!(same_names::inline(1, 2, 3, &4).await, 10);
        })
        .await;
}

#[tokio::test]
async fn modules_may_shadow_the_prelude() {
    use shadowed::{Id, Kind};
    cache()
        .await
        .scope(async {
            assert_eq!(shadowed::shadowed(Id(1), Kind::Small, "a").await, Some(1));
            assert_eq!(shadowed::shadowed(Id(1), Kind::Named { id: 3 }, "a").await, Some(4));
            assert_eq!(shadowed::shadowed(Id(1), Kind::Pair(4, true), "a").await, Some(5));
            assert_eq!(shadowed::inline(Id(5)).await, 5);
            let entry = || shadowed::shadowed_entry(Id(1), Kind::Pair(4, true), "a");
            assert!(entry().peek().await.expect("embedded").is_some());
            assert!(entry().key().starts_with("test:v1:shadowed:1:Pair(4,true):"), "{}", entry().key());
            assert_eq!(shadowed::change(Id(1)).await, Ok(()));
            assert!(entry().peek().await.expect("embedded").is_none());
        })
        .await;
}
