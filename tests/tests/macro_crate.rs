//! The runtime under another path: re-exported, and out of sight under its own name.

/// What a framework would re-export.
mod framework {
    pub(crate) mod caching {
        pub(crate) use cache_runtime as rt;
    }
}

mod service {
    use crate::framework::caching::rt::{Event, KeyPart, cached, emits};

    /// Whoever says `cache_runtime` here gets this.
    mod cache_runtime {}

    #[derive(Event, serde::Serialize, serde::Deserialize)]
    #[event(crate = crate::framework::caching::rt)]
    pub(crate) struct Changed {
        pub(crate) id: u64,
    }

    #[derive(KeyPart)]
    #[key_part(crate = crate::framework::caching::rt)]
    pub(crate) struct Id(pub(crate) u64);

    #[cached(
        ttl = "5m",
        key = "renamed:<id>:<name:hash>",
        invalidate_on = "Changed => renamed:<id>:*",
        crate = crate::framework::caching::rt
    )]
    pub(crate) async fn renamed(id: u64, name: &str) -> usize {
        name.len() + usize::try_from(id).unwrap_or_default()
    }

    #[cached(ttl = "5m", key = "part:<id>", crate = super::framework::caching::rt, companions = off)]
    pub(crate) async fn part(id: Id) -> u64 {
        id.0
    }

    #[emits(Changed { id }, crate = crate::framework::caching::rt)]
    pub(crate) async fn change(id: u64) -> Result<(), ()> {
        if id == 0 { Err(()) } else { Ok(()) }
    }
}

#[tokio::test]
async fn a_re_exported_runtime() {
    cache_tests::cache()
        .await
        .scope(async {
            assert_eq!(service::renamed(1, "a").await, 2);
            assert_eq!(service::part(service::Id(3)).await, 3);
            let entry = service::renamed_entry(1, "a");
            assert!(entry.peek().await.expect("embedded").is_some());
            assert_eq!(service::change(1).await, Ok(()));
            assert!(entry.peek().await.expect("embedded").is_none());
        })
        .await;
}
