//! What the bus and the journal ask of the second tier.

use std::collections::{BTreeMap, BTreeSet};
use std::future::Future;
use std::time::Duration;

use tokio::sync::watch;

use crate::fault::Fault;
use crate::instant::Instant;
use crate::store::{Invalidated, Invalidation, Needed, Position, Tail};

/// The version of the routes, and all of them: names and JSON.
pub(crate) type Routes = (Option<String>, Vec<(String, String)>);

/// Who the servers are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Met<I> {
    pub(crate) identity: I,
    /// Whether one that was there is another now, or gone. One more is no loss.
    pub(crate) is_another: bool,
    /// Whether all of them told. The others are taken to be who they were, if that is known.
    pub(crate) are_all: bool,
}

/// The second tier, as far as it is about invalidations.
pub(crate) trait Remote: Send + Sync {
    /// Which servers it is, and in which roles: another one may lack what this one had.
    type Identity: Clone + Send + Sync;

    /// Changes with every connection, before anything is sent over it.
    fn generation(&self) -> watch::Receiver<u64>;

    /// Who the servers are, beside who they were.
    fn identity(
        &self,
        known: Option<&Self::Identity>,
    ) -> impl Future<Output = Result<Met<Self::Identity>, Fault>> + Send;

    /// Whether one server has everything, so that whoever looks at the bus has looked at all of them.
    fn is_single(&self) -> bool;

    /// When it was last asked whether the servers are primaries; nothing where nobody has to.
    fn confirmed(&self) -> Option<Instant> {
        None
    }

    /// Tells how far the bus was applied, and reads what is behind `from`. It may take `more` than other operations.
    fn probe(
        &self,
        applied: Option<Position>,
        from: Option<Position>,
        most: usize,
        right: Duration,
        more: Duration,
    ) -> impl Future<Output = Result<Tail, Fault>> + Send;

    /// Ends when something may stand behind `last`, or after `most`.
    fn listen(&self, last: Position, most: Duration) -> impl Future<Output = Result<(), Fault>> + Send;

    /// Unlinks, then tells the bus, if the routes are of this version.
    fn invalidate(
        &self,
        invalidation: &Invalidation,
        routes: Option<&str>,
    ) -> impl Future<Output = Result<Invalidated, Fault>> + Send;

    /// Unlinks and tells nobody.
    fn unlink(&self, names: Vec<String>) -> impl Future<Output = Result<(), Fault>> + Send;

    /// Ends when the server takes writes.
    fn write_nothing(&self) -> impl Future<Output = Result<(), Fault>> + Send;

    /// What it takes to unlink these names, and to tell of it if it `is_told`.
    fn needs(&self, unlink: &[String], is_told: bool) -> BTreeSet<Needed>;

    /// All servers and the bus.
    fn servers(&self) -> BTreeSet<Needed>;

    /// Of what is needed, what is not there, and why: nobody can reach it, it is the bus and takes no writes or, where
    /// `replicas` are asked for too, it has too few.
    fn lacking(
        &self,
        needed: &BTreeSet<Needed>,
        replicas: bool,
    ) -> impl Future<Output = BTreeMap<Needed, Fault>> + Send;

    /// Deletes the bus, and begins it anew: everybody drops everything.
    fn discard(&self) -> impl Future<Output = Result<(), Fault>> + Send;

    /// The version of the routes, and all of them.
    fn routes(&self) -> impl Future<Output = Result<Routes, Fault>> + Send;

    /// Adds these to the routes.
    fn register(&self, fields: &[(String, String)]) -> impl Future<Output = Result<String, Fault>> + Send;

    /// How often what cannot go at one moment is made to go, for what is made of each other.
    fn rounds(&self) -> usize;

    /// Unlinks all that begins like one of these, once; for the first time on all servers that do it, later as far as the
    /// first that does not. That too few replicas have it is told when all of it is done.
    fn sweep(&self, prefixes: &[String], is_first: bool) -> impl Future<Output = Result<u64, Fault>> + Send;
}
