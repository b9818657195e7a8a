//! Reads that come after an invalidation of another process.

use std::future::Future;
use std::sync::Arc;

use crate::context::Context;
use crate::node::Node;
use crate::read::has_applied;
use crate::token::Token;

/// A cache whose reads have seen what a token stands for; made by [`Cache::after`](crate::Cache::after).
#[derive(Debug)]
#[must_use = "reads come after the token inside `.scope(..)` only"]
pub struct After {
    node: Arc<Node>,
    token: Token,
}

impl After {
    pub(crate) fn new(node: Arc<Node>, token: Token) -> Self {
        Self { node, token }
    }

    /// Runs `future` with this cache. Its cached calls are answered with no value whose load began before the invalidation
    /// took effect, in whichever process it was issued: until this process has heard of it, they leave the in-process tier
    /// aside.
    ///
    /// Scopes inside each other add up: every read has seen what all of their tokens stand for. Each token counts for the
    /// cache that its scope was made of: calls that use another one, inside [`Cache::scope`](crate::Cache::scope) for
    /// instance, are answered as if it were not there, and those that use the first one again come after it still.
    ///
    /// # Cancel safety
    ///
    /// Dropping it drops `future`.
    pub async fn scope<F: Future>(&self, future: F) -> F::Output {
        let context = Context { node: Some(Arc::clone(&self.node)), ..Context::current() };
        // What this process has applied is seen anyway, and must not stand before what it has not.
        let context =
            if has_applied(&self.node, &self.token) { context } else { context.awaiting(self.node.id, self.token) };
        context.scope(future).await
    }
}
