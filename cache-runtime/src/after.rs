//! Reads that come after an invalidation of another process.

use std::future::Future;
use std::sync::Arc;

use crate::context::Context;
use crate::node::Node;
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
    /// # Cancel safety
    ///
    /// Dropping it drops `future`.
    pub async fn scope<F: Future>(&self, future: F) -> F::Output {
        let (node, after) = (Some(Arc::clone(&self.node)), Some(self.token));
        Context { node, after, ..Context::current() }.scope(future).await
    }
}
