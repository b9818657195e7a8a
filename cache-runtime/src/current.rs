//! The cache that a call sees: of its scope, else the installed one, else an embedded default.

use std::sync::Arc;
use std::time::Duration;

use once_cell::sync::OnceCell;

use crate::clock::Time;
use crate::context::Context;
use crate::node::{Node, Settings};
use crate::registry;
use crate::rules::Rules;

static INSTALLED: OnceCell<Arc<Node>> = OnceCell::new();
static EMBEDDED: OnceCell<Arc<Node>> = OnceCell::new();

/// The in-process tier of a cache that nobody sized: 64 MiB.
pub(crate) const DEFAULT_L1_BYTES: u64 = 64 << 20;

/// How long a load may hold its key where nobody says otherwise: 30 s.
pub(crate) const DEFAULT_LOAD_TIMEOUT: Duration = Duration::from_secs(30);

/// Separates the keys that are made of an application's name from all other uses of the hash.
pub(crate) const HASH_CONTEXT: &str = "cache-runtime 2026-11 hashed key parts";

/// The node that a call in this context sees.
#[inline(always)]
pub(crate) fn current_node(context: Option<&Context>) -> &Arc<Node> {
    match context.and_then(|context| context.node.as_ref()) {
        Some(node) => node,
        None => INSTALLED.get().unwrap_or_else(|| EMBEDDED.get_or_init(embedded)),
    }
}

/// Makes this the node of the whole process. False if there is one already.
pub(crate) fn install(node: Arc<Node>) -> bool {
    INSTALLED.set(node).is_ok()
}

#[cold]
fn embedded() -> Arc<Node> {
    tracing::warn!(
        "no cache is installed: using an embedded default of 64 MiB; `Cache::builder(..).build().await?.install()?` chooses one"
    );
    if let Err(error) = registry::check() {
        tracing::error!(%error, "the cached functions of this program contradict each other");
    }
    Arc::new(Node::new(Settings {
        app: "default".to_owned(),
        hash_key: blake3::derive_key(HASH_CONTEXT, b"default"),
        l1_capacity: DEFAULT_L1_BYTES,
        time: Time::system(),
        seed: None,
        load_timeout: DEFAULT_LOAD_TIMEOUT,
        rules: Rules::ALL,
        second: None,
    }))
}
