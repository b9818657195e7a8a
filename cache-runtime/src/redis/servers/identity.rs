//! Which servers there are: another one may lack what this one had.

use redis::Value;

use crate::fault::Fault;
use crate::redis::pool::Pool;
use crate::redis::servers::Servers;
use crate::redis::target::Address;

/// A server: its run, its history and its role.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Identity {
    run: String,
    history: String,
    role: String,
}

/// All primaries.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Identities {
    /// That of the bus.
    bus: Identity,
    /// The others of a cluster, by their addresses.
    others: Vec<(Address, Identity)>,
}

impl Identities {
    /// Whether one that was there is another now, or gone. A new one has its slots from those that had them.
    pub(crate) fn lacks_one_of(&self, known: &Self) -> bool {
        self.bus != known.bus || known.others.iter().any(|one| !self.others.contains(one))
    }
}

impl Servers {
    /// All primaries, and whether all of them told. One that does not is taken to be who it was: what is elsewhere goes on
    /// meanwhile.
    pub(crate) async fn identities(&self, known: Option<&Identities>) -> Result<(Identities, bool), Fault> {
        let trunk = self.bus()?;
        let bus = identity(&trunk).await?;
        let (mut others, mut are_all) = (Vec::new(), true);
        for pool in self.topology.pools().iter().filter(|pool| pool.address() != trunk.address()) {
            let address = pool.address();
            let told = identity(pool).await;
            are_all &= told.is_ok();
            let before = || known?.others.iter().find(|(other, _)| other == address).map(|(_, known)| known.clone());
            if let Some(identity) = told.ok().or_else(before) {
                others.push((address.clone(), identity));
            }
        }
        Ok((Identities { bus, others }, are_all))
    }
}

async fn identity(pool: &Pool) -> Result<Identity, Fault> {
    let mut command = redis::cmd("INFO");
    command.arg("server").arg("replication");
    read(pool.command(&command).await?).ok_or_else(|| Fault::Nonsense("INFO without run, history or role".to_owned()))
}

fn read(reply: Value) -> Option<Identity> {
    let info = redis::from_redis_value::<String>(reply).ok()?;
    let field = |name: &str| info.lines().find_map(|line| Some(line.strip_prefix(name)?.trim_end().to_owned()));
    Some(Identity { run: field("run_id:")?, history: field("master_replid:")?, role: field("role:")? })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn server(run: &str) -> Identity {
        Identity { run: run.to_owned(), history: "h".to_owned(), role: "master".to_owned() }
    }

    #[test]
    fn what_is_another_or_gone_is_lacking_and_one_more_is_not() {
        let with = |bus: &str, others: &[(u16, &str)]| {
            let others = others.iter().map(|(port, run)| (Address::tcp("a", *port), server(run)));
            Identities { bus: server(bus), others: others.collect() }
        };
        let known = with("0", &[(1, "1"), (2, "2")]);
        for same in [&[(1, "1"), (2, "2")][..], &[(3, "3"), (2, "2"), (1, "1")]] {
            assert!(!with("0", same).lacks_one_of(&known), "{same:?}");
        }
        for other in [&[(1, "1")][..], &[(1, "1"), (2, "3")], &[(1, "1"), (3, "2")]] {
            assert!(with("0", other).lacks_one_of(&known), "{other:?}");
        }
        assert!(with("1", &[(1, "1"), (2, "2")]).lacks_one_of(&known));
    }
}
