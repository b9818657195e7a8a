//! The load and what becomes of its value. As little as possible is generic: it is compiled again for every function.

use std::time::Duration;

use crate::clock::Moment;
use crate::context::{Context, Scoped};
use crate::flight::Lead;
use crate::key::Key;
use crate::metric::Metric;
use crate::node::Filling;
use crate::read::Missed;
use crate::shape::Kept;

/// A load that this call leads: the duty, and what must be known when it ends.
pub(crate) struct Loading {
    missed: Box<Missed>,
    lead: Lead<Key, Kept>,
    /// Taken from the caller's task, since the load may run in another.
    context: Option<Context>,
    began: Moment,
}

/// What a load ended with, without its type.
pub(crate) enum Loaded {
    Value {
        kept: Kept,
        /// Estimated bytes.
        bytes: usize,
        /// `None`, where the function returns an `Option`.
        absent: bool,
        /// What `store_if` says.
        wanted: bool,
    },
    /// The function's own error, where it can be copied.
    Error(Option<Kept>),
}

impl Loading {
    /// The load begins.
    pub(crate) fn begin(missed: Box<Missed>, lead: Lead<Key, Kept>) -> Self {
        lead.loading();
        missed.node.count(missed.address.function, Metric::Load);
        let context = Some(Context::current().loading(lead.id()));
        Self { began: missed.node.time.now(), missed, lead, context }
    }

    /// The function's body, inside its own load.
    pub(crate) fn scope<F: Future>(&mut self, body: F) -> Scoped<F> {
        self.context.take().unwrap_or_default().scope(body)
    }

    /// Keeps the value, if the fence allows it, and tells those who follow.
    pub(crate) fn settle(self, loaded: Loaded) {
        let (node, function) = (&self.missed.node, self.missed.address.function);
        node.state(function).load_took(node.time.now().since(self.began));
        match loaded {
            Loaded::Error(shared) => {
                node.count(function, Metric::LoadError);
                self.lead.fail(shared);
            }
            Loaded::Value { kept, bytes, absent, wanted } => {
                let lifetime = function.lifetime(absent).filter(|_| wanted);
                self.keep(kept, bytes, lifetime);
            }
        }
    }

    fn keep(self, kept: Kept, bytes: usize, lifetime: Option<Duration>) {
        let (node, address) = (&self.missed.node, &self.missed.address);
        let accepted = self.lead.may_keep(node.fence(address));
        match lifetime {
            _ if !accepted => node.count(address.function, Metric::RefusedFill),
            None => node.count(address.function, Metric::NotKept),
            // Kept under the fence of the flight's beginning: an invalidation from here on finds it unusable.
            Some(lifetime) => {
                node.fill(address, Filling { kept: kept.clone(), bytes, lifetime, fence: self.lead.fence() });
            }
        }
        self.lead.finish(kept, accepted);
    }
}
