//! Generated code is no reason for a warning, however strict its crate is.
#![deny(warnings, missing_docs, unused, unreachable_pub, unused_qualifications, rust_2018_idioms)]
#![deny(unused_lifetimes, single_use_lifetimes, let_underscore_drop, missing_debug_implementations)]
#![deny(unused_results, variant_size_differences, trivial_casts, trivial_numeric_casts)]
#![deny(clippy::all, clippy::pedantic, clippy::nursery)]
#![deny(clippy::allow_attributes, clippy::unwrap_used, clippy::expect_used, clippy::panic)]
#![deny(clippy::missing_docs_in_private_items, clippy::absolute_paths, clippy::shadow_unrelated)]
#![deny(clippy::shadow_reuse, clippy::shadow_same, clippy::same_name_method, clippy::mod_module_files)]
#![deny(clippy::let_underscore_untyped, clippy::let_underscore_must_use, clippy::print_stdout)]
#![deny(clippy::single_call_fn, clippy::min_ident_chars, clippy::question_mark_used)]
#![forbid(unsafe_code)]
#![expect(clippy::single_call_fn, reason = "the functions below are called by one test each")]

use std::sync::Arc;

use cache_runtime::{Cache, Event, KeyPart, cached, emits};
use cache_tests::cache;
use serde::{Deserialize, Serialize};

/// What is kept.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct User {
    /// Its name.
    name: String,
}

/// A key part.
#[derive(Clone, Copy, Debug, KeyPart, Serialize, Deserialize)]
pub struct TenantId(u64);

/// A key part of several kinds.
#[derive(Clone, Debug, KeyPart)]
pub enum Scope {
    /// All.
    All,
    /// One of them.
    One(u64),
    /// Some of them.
    Some {
        /// From here.
        from: u64,
        /// To there.
        to: u64,
    },
}

/// An event.
#[derive(Clone, Copy, Debug, Event, Serialize, Deserialize)]
#[event(name = "user.updated")]
pub struct UserUpdated {
    /// The tenant.
    pub tenant: TenantId,
    /// The user.
    pub id: u64,
}

/// An event without fields.
#[derive(Clone, Copy, Debug, Event, Serialize, Deserialize)]
pub struct Purged;

/// Arguments of all kinds, some of them unused.
///
/// # Errors
///
/// Never.
#[cached(
    ttl = "5m",
    jitter = 10,
    key = "user:<tenant>:<id>:<scope>:<name:hash>",
    invalidate_on = ["UserUpdated => user:<tenant>:<id>:*", "Purged => user:*"],
    version = 2,
    negative_ttl = "1s",
    load_timeout = "1s",
    store_if = is_named,
    l1 = "1m",
    skip(_pool)
)]
pub async fn load_user<'user>(
    tenant: TenantId,
    id: u64,
    scope: &'user Scope,
    name: String,
    _pool: &'user [u8],
    #[cache(skip)] _unused: &mut Vec<u8>,
) -> Result<Option<User>, String> {
    Ok(Some(User { name: format!("{} {id} {scope:?} {name}", tenant.0) }))
}

/// Whether the user has a name.
#[expect(clippy::ref_option, reason = "what is kept is an `Option`")]
const fn is_named(user: &Option<User>) -> bool {
    user.is_some()
}

/// Borrowed arguments, cloned.
#[cached(ttl = "5m", key = "owned:<name>", own(name, names))]
pub async fn owned(name: &str, #[cache(skip)] names: &[String]) -> String {
    names.concat() + name
}

/// On a cache of its own.
#[cached(ttl = "5m", key = "given:<id>", cache = cache)]
pub async fn given(id: u64, cache: &Cache) -> Arc<User> {
    Arc::new(User { name: id.to_string() })
}

/// Publishes.
///
/// # Errors
///
/// When the name is empty.
#[emits(UserUpdated { tenant, id: result.len() as u64 }, Purged)]
pub async fn rename(tenant: TenantId, id: u64, name: &str) -> Result<String, String> {
    if name.is_empty() {
        return Err(id.to_string());
    }
    Ok(name.to_owned())
}

/// Holds methods.
#[expect(clippy::unsafe_derive_deserialize, reason = "the link-time registry's, not this type's")]
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Users {
    /// The tenant.
    tenant: TenantId,
}

impl Users {
    /// By reference.
    #[cached(ttl = "5m", key = "method:<self.tenant>:<id>")]
    pub async fn load(&self, id: u64) -> Option<User> {
        Some(User { name: format!("{} {id}", self.tenant.0) })
    }

    /// Without a receiver.
    ///
    /// # Errors
    ///
    /// Never.
    #[cached(ttl = "5m", key = "found:<id>")]
    pub async fn find(id: u64) -> Result<Self, String>
    where
        Self: Clone + Serialize + for<'de> Deserialize<'de>,
    {
        Err(id.to_string())
    }

    /// Alone.
    #[cached(ttl = "5m", key = "alone:<id>", skip(self), companions = off)]
    pub async fn alone(&self, id: u64) -> u64 {
        id
    }
}

/// A trait with an implementation.
#[async_trait::async_trait]
pub trait Names {
    /// A name.
    async fn name(&self, id: u64, pool: &[u8]) -> Option<String>;
}

#[async_trait::async_trait]
impl Names for Users {
    #[cached(ttl = "5m", key = "name:<self.tenant>:<id>")]
    async fn name(&self, id: u64, #[cache(skip)] pool: &[u8]) -> Option<String> {
        Some(format!("{id} {}", pool.len()))
    }
}

/// All of it runs.
#[tokio::test]
async fn a_strict_crate() {
    cache()
        .await
        .scope(async {
            let (tenant, users) = (TenantId(1), Users { tenant: TenantId(1) });
            let loaded = load_user(tenant, 2, &Scope::One(3), "a".to_owned(), &[], &mut Vec::new()).await;
            assert!(loaded.is_ok_and(|user| user.is_some()));
            assert_eq!(owned("a", &["b".to_owned()]).await, "ba");
            assert_eq!(given(1, &Cache::current()).await.name, "1");
            assert_eq!(rename(tenant, 2, "b").await.as_deref(), Ok("b"));
            assert_eq!(users.load(1).await, Some(User { name: "1 1".to_owned() }));
            assert_eq!(users.alone(1).await, 1);
            assert_eq!(users.name(1, &[2]).await.as_deref(), Some("1 1"));
        })
        .await;
}
