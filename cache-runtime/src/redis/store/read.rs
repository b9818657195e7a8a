//! How a batch of reads goes over the wire: one `MGET`, in a cluster one for each slot.

use std::sync::Arc;

use crate::fault::Fault;
use crate::redis::batch::Carrier;
use crate::redis::mget::Mget;
use crate::redis::reply::Found;
use crate::redis::store::flush::all;
use crate::redis::{HashSlot, Servers};

/// Carries batches to the servers.
#[derive(Debug)]
pub(crate) struct Wire {
    servers: Arc<Servers>,
}

/// What one read asks for: an entry and its stamps.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Names<'a> {
    pub(crate) entry: &'a str,
    pub(crate) stamps: &'a [String],
}

/// The names of a batch.
#[derive(Default)]
pub(crate) enum Load {
    #[default]
    Empty,
    /// All in one slot so far.
    Together(HashSlot, Mget),
    Apart(Vec<(HashSlot, String)>),
}

impl Wire {
    pub(crate) fn new(servers: Arc<Servers>) -> Self {
        Self { servers }
    }

    fn add_name(&self, load: &mut Load, name: &str) {
        let slot = self.servers.hash_slot(name);
        match load {
            Load::Empty => {
                let mut mget = Mget::new();
                mget.add(name);
                *load = Load::Together(slot, mget);
            }
            Load::Together(other, mget) if *other == slot => mget.add(name),
            Load::Together(other, mget) => {
                let mut names: Vec<_> = mget.names().map(|name| (*other, name.to_owned())).collect();
                names.push((slot, name.to_owned()));
                *load = Load::Apart(names);
            }
            Load::Apart(names) => names.push((slot, name.to_owned())),
        }
    }
}

impl Carrier for Wire {
    type Item<'a> = Names<'a>;
    type Load = Load;
    /// In a cluster, what is wrong with one server is no matter of those who read from another.
    type Reply = Found;

    fn count(names: Names<'_>) -> usize {
        1 + names.stamps.len()
    }

    fn add(&self, load: &mut Load, names: Names<'_>) {
        self.add_name(load, names.entry);
        names.stamps.iter().for_each(|stamp| self.add_name(load, stamp));
    }

    fn is_full(_: &Load) -> bool {
        false
    }

    async fn carry(&self, load: Load) -> Result<Vec<Found>, Fault> {
        match load {
            Load::Empty => Ok(Vec::new()),
            Load::Together(slot, mget) => self.servers.strings(slot, mget).await,
            Load::Apart(names) => Ok(Box::pin(apart(&self.servers, &names)).await),
        }
    }

    fn size(reply: &Found) -> usize {
        match reply {
            Ok(Some(bytes)) => bytes.len(),
            _ => 0,
        }
    }
}

/// One `MGET` for each slot, all at the same time; the replies in the order of the names.
pub(crate) async fn apart(servers: &Servers, names: &[(HashSlot, String)]) -> Vec<Found> {
    let mut order: Vec<usize> = (0..names.len()).collect();
    order.sort_by_key(|&name| names[name].0);
    let runs: Vec<&[usize]> = order.chunk_by(|&one, &next| names[one].0 == names[next].0).collect();
    let asked = runs.iter().map(|run| {
        let mut mget = Mget::new();
        run.iter().for_each(|&name| mget.add(&names[name].1));
        servers.strings(names[run[0]].0, mget)
    });
    let mut replies: Vec<Found> = names.iter().map(|_| Ok(None)).collect();
    for (run, found) in runs.iter().zip(all(asked.collect()).await) {
        match found {
            Ok(found) => run.iter().zip(found).for_each(|(&name, found)| replies[name] = found),
            Err(fault) => run.iter().for_each(|&name| replies[name] = Err(fault.clone())),
        }
    }
    replies
}
