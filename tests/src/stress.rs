//! The long run over a real server: several processes read, write, publish and die at random, while everything that can
//! go wrong around them does, and no read is older than what it was promised.
//!
//! The source of truth is another server that nothing happens to: a counter for each record, raised by each commit. A
//! load reads the counter, so a cached value tells how old it is. The [checker](crate::history) does the rest.
//!
//! Beside plain functions there are those of every other kind: in the in-process tier alone (`l2 = off`), over other
//! cached functions, served past their ttl, with outputs that there is nothing, with values that are not to be kept. Every
//! one is bound as the plain ones are: what is invalid is not served past its ttl either. Half of the processes have a
//! journal that overflows and a few loads at a time without the server.
//!
//! Nothing has to be excluded because of what happens to the cache's server here: values, leases, stamps, routes and
//! the bus may vanish at any time, since an invalidation that was acknowledged cannot be undone by that. It is never
//! started again from a snapshot: that would bring back what was invalidated. Left out, because nobody promises them:
//!
//! * Invalidations that returned [`Queued`](cache_runtime::Delivery::Queued) bind their own process only, as long as it
//!   lives.
//! * Commits whose writer was killed before it invalidated bind nobody.
//! * Values that are `put` have one writer at a time, as the documentation of `put` asks for.

mod control;
mod diary;
mod faults;
mod judge;
mod log;
mod losses;
mod parent;
mod places;
mod progress;
mod settings;
mod truth;
mod watch;
mod wire;

pub(crate) use control::Children;
pub(crate) use diary::Diary;
pub(crate) use judge::Judge;
pub(crate) use losses::{Loss, Losses, Repair};
pub(crate) use parent::MOST_PIECES;
pub(crate) use settings::{APP, MAX_STALENESS};
pub(crate) use watch::Watch;

pub use control::REST;
pub use log::{Counter, Counts, Log, Sending};
pub use parent::{Outcome, run};
pub use places::{Function, GROUPS, IDS, Place, RECORDS, is_special};
pub use settings::{ChildSettings, Settings, rule_named, rule_names, rules_named};
pub use truth::Truth;
