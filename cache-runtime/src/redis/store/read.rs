//! How a batch of reads goes over the wire: one `MGET`, in a cluster one for each slot.

use std::sync::Arc;

use redis::{Arg, Cmd, Value};

use crate::fault::Fault;
use crate::redis::batch::Carrier;
use crate::redis::store::flush::flush;
use crate::redis::{HashSlot, Servers, reply};

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
    Together(HashSlot, Cmd),
    Apart(Vec<(HashSlot, String)>),
}

impl Wire {
    pub(crate) fn new(servers: Arc<Servers>) -> Self {
        Self { servers }
    }
}

/// Room for a few names without growing.
fn mget() -> Cmd {
    let mut command = Cmd::with_capacity(8, 256);
    command.arg("MGET");
    command
}

impl Wire {
    fn add_name(&self, load: &mut Load, name: &str) {
        let slot = self.servers.hash_slot(name);
        match load {
            Load::Empty => {
                let mut command = mget();
                command.arg(name);
                *load = Load::Together(slot, command);
            }
            Load::Together(other, command) if *other == slot => {
                command.arg(name);
            }
            Load::Together(other, command) => {
                let names = command.args_iter().skip(1).map(|name| (*other, owned(&name)));
                let mut names: Vec<_> = names.collect();
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
    type Reply = Result<Value, Fault>;

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

    async fn carry(&self, load: Load) -> Result<Vec<Self::Reply>, Fault> {
        match load {
            Load::Empty => Ok(Vec::new()),
            Load::Together(slot, command) => {
                let values = reply::array(self.servers.command(slot, &command).await?, "MGET")?;
                Ok(values.into_iter().map(Ok).collect())
            }
            Load::Apart(names) => Ok(apart(&self.servers, &names).await),
        }
    }

    fn size(reply: &Self::Reply) -> usize {
        match reply {
            Ok(Value::BulkString(bytes)) => bytes.len(),
            _ => 0,
        }
    }
}

fn owned(argument: &Arg<&[u8]>) -> String {
    match argument {
        Arg::Simple(name) => String::from_utf8_lossy(name).into_owned(),
        other => unreachable!("names are plain arguments: {other:?}"),
    }
}

/// One `MGET` for each slot, all at the same time; the replies in the order of the names.
pub(crate) async fn apart(servers: &Servers, names: &[(HashSlot, String)]) -> Vec<Result<Value, Fault>> {
    let mut order: Vec<usize> = (0..names.len()).collect();
    order.sort_by_key(|&name| names[name].0);
    let runs: Vec<&[usize]> = order.chunk_by(|&one, &next| names[one].0 == names[next].0).collect();
    let commands = runs.iter().map(|run| {
        let mut command = mget();
        for &name in *run {
            command.arg(&names[name].1);
        }
        (names[run[0]].0, command)
    });
    let mut replies: Vec<Result<Value, Fault>> = names.iter().map(|_| Ok(Value::Nil)).collect();
    for (run, reply) in runs.iter().zip(flush(servers, commands.collect()).await) {
        match reply.and_then(|values| values_of(values, run.len())) {
            Ok(values) => run.iter().zip(values).for_each(|(&name, value)| replies[name] = Ok(value)),
            Err(fault) => run.iter().for_each(|&name| replies[name] = Err(fault.clone())),
        }
    }
    replies
}

fn values_of(reply: Value, count: usize) -> Result<Vec<Value>, Fault> {
    let values = reply::array(reply, "MGET")?;
    if values.len() == count {
        return Ok(values);
    }
    Err(Fault::Nonsense(format!("{} replies to MGET of {count} names", values.len())))
}
