//! A cluster says itself who has which slot. Any of its nodes may be asked; one that is cut off may be wrong, which its
//! epoch tells: of what is older than what was told before nothing is believed, unless nobody says anything else for long.
//! Then another cluster has its addresses.

use std::time::Duration;

use redis::{Pipeline, Value};

use crate::instant::Instant;
use crate::redis::pool::Miss;
use crate::redis::session::{NoSession, Purpose};
use crate::redis::target::Address;
use crate::redis::topology::{Primaries, Topology};
use crate::timer::in_time;

/// For how long all nodes that answer have to say that they are well, and of an older epoch, until that is believed: longer
/// than one that is cut off from most others takes to notice it (`cluster-node-timeout`, mostly 15 s).
const OLD_FOR: Duration = Duration::from_mins(1);

/// And with how many looks: a process may have been stopped between two of them.
const OLD_LOOKS: u32 = 10;

/// Asks a cluster's nodes.
pub(crate) struct ClusterScout {
    seeds: Vec<Address>,
    /// All nodes that were seen last, replicas included.
    known: Vec<Address>,
    /// The newest epoch that any node told.
    epoch: u64,
    /// What was told with this look and is older than that.
    old: Vec<Told>,
    /// Since when nothing else is told, and with how many looks.
    older: Option<(Instant, u32)>,
}

/// What one node says.
struct Told {
    epoch: u64,
    /// Whether it says that its cluster is well. One that is cut off from most others does not.
    is_well: bool,
    ranges: Vec<(u16, u16, Address)>,
    nodes: Vec<Address>,
}

impl ClusterScout {
    pub(crate) fn new(seeds: Vec<Address>) -> Self {
        Self { seeds, known: Vec::new(), epoch: 0, old: Vec::new(), older: None }
    }

    pub(crate) fn first(&self) -> &Address {
        &self.seeds[0]
    }

    /// The nodes that are in use first, then all others that were ever named.
    pub(crate) async fn look(&mut self, topology: &Topology) -> Result<Primaries, NoSession> {
        let mut last = NoSession::Away("none of its nodes answers".to_owned());
        for pool in topology.pools().into_iter().filter(|pool| pool.is_up()) {
            let replies = pool.pipeline(&questions()).await.map_err(|fault| NoSession::Away(fault.to_string()));
            let replies = replies.map(|replies| replies.into_iter().filter_map(Result::<Value, Miss>::ok).collect());
            match replies.and_then(|replies| self.believe(replies, pool.address())) {
                Ok(primaries) => return Ok(primaries),
                Err(no) => last = no,
            }
        }
        let others: Vec<Address> = self.known.iter().chain(&self.seeds).cloned().collect();
        for (i, address) in others.iter().enumerate().filter(|(i, address)| !others[..*i].contains(address)) {
            let replies = ask(topology, address).await;
            match replies.and_then(|replies| self.believe(replies, &others[i])) {
                Ok(primaries) => return Ok(primaries),
                // That the credentials are wrong is worth more than that another node is away.
                Err(no) if !matches!(last, NoSession::Refused(_)) => last = no,
                Err(_) => {}
            }
        }
        self.end_look(Instant::now()).ok_or(last)
    }

    fn believe(&mut self, replies: Vec<Value>, from: &Address) -> Result<Primaries, NoSession> {
        let told = told(replies, from).ok_or_else(|| NoSession::Away("it does not know its cluster".to_owned()))?;
        if told.epoch < self.epoch {
            self.old.push(told);
            return Err(NoSession::Away("what it knows of its cluster is old".to_owned()));
        }
        Ok(self.take(told))
    }

    fn take(&mut self, told: Told) -> Primaries {
        (self.epoch, self.known) = (told.epoch, told.nodes);
        (self.old, self.older) = (Vec::new(), None);
        Primaries::many(told.ranges)
    }

    /// Nobody has told what can be believed at once. The newest of what is old, if it has been all that is told for long.
    fn end_look(&mut self, now: Instant) -> Option<Primaries> {
        let old = std::mem::take(&mut self.old);
        let are_well = old.iter().all(|told| told.is_well);
        let newest = old.into_iter().max_by_key(|told| told.epoch);
        let Some(newest) = newest.filter(|_| are_well) else {
            self.older = None;
            return None;
        };
        let (since, looks) = self.older.unwrap_or((now, 0));
        self.older = Some((since, looks + 1));
        if now.saturating_duration_since(since) < OLD_FOR || looks + 1 < OLD_LOOKS {
            return None;
        }
        let (before, epoch) = (self.epoch, newest.epoch);
        tracing::warn!(
            before,
            epoch,
            "redis: another cluster has the addresses of the one that was there, and is used"
        );
        Some(self.take(newest))
    }
}

fn questions() -> Pipeline {
    let mut questions = Pipeline::with_capacity(2);
    questions.cmd("CLUSTER").arg("INFO").cmd("CLUSTER").arg("SLOTS");
    questions
}

async fn ask(topology: &Topology, address: &Address) -> Result<Vec<Value>, NoSession> {
    let access = &topology.plant().access;
    let mut session = access.open(address, Purpose::Scout).await?;
    let replies = in_time(access.patience, session.connection.commands(&questions())).await;
    Ok(replies.ok_or_else(|| NoSession::Away("no answer".to_owned()))??)
}

fn told(replies: Vec<Value>, from: &Address) -> Option<Told> {
    let [info, slots] = <[Value; 2]>::try_from(replies).ok()?;
    let info = redis::from_redis_value::<String>(info).ok()?;
    let field = |name| info.lines().find_map(|line| line.trim_end().strip_prefix(name));
    let (epoch, is_well) = (field("cluster_current_epoch:")?.parse().ok()?, field("cluster_state:") == Some("ok"));
    let Value::Array(slots) = slots else { return None };
    let (mut ranges, mut nodes) = (Vec::with_capacity(slots.len()), Vec::new());
    for range in slots {
        let Value::Array(parts) = range else { return None };
        let [Value::Int(first), Value::Int(last), owners @ ..] = parts.as_slice() else { return None };
        let mut owners = owners.iter().filter_map(|owner| node(owner, from)).peekable();
        if let Some(primary) = owners.peek() {
            ranges.push((u16::try_from(*first).ok()?, u16::try_from(*last).ok()?, primary.clone()));
        }
        nodes.extend(owners);
    }
    nodes.sort_by_key(ToString::to_string);
    nodes.dedup();
    // A node that knows of no slots was never told of its cluster, or has been reset.
    (!ranges.is_empty()).then_some(Told { epoch, is_well, ranges, nodes })
}

/// Host and port. Without a host it is the node that was asked.
fn node(value: &Value, from: &Address) -> Option<Address> {
    let Value::Array(parts) = value else { return None };
    let [host, Value::Int(port), ..] = parts.as_slice() else { return None };
    let port = u16::try_from(*port).ok()?;
    match (host, from) {
        (Value::BulkString(host), _) if !matches!(host.as_slice(), b"" | b"?") => {
            Some(Address::tcp(&String::from_utf8_lossy(host), port))
        }
        (_, Address::Tcp { host, .. }) => Some(Address::tcp(host, port)),
        (_, Address::Unix(_)) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::redis::hash_slot::HashSlot;

    fn node_value(host: &str, port: i64) -> Value {
        let host = if host.is_empty() { Value::Nil } else { Value::BulkString(host.as_bytes().to_vec()) };
        Value::Array(vec![host, Value::Int(port), Value::BulkString(b"id".to_vec()), Value::Array(vec![])])
    }

    fn replies(epoch: u64, slots: Vec<(i64, i64, Vec<Value>)>) -> Vec<Value> {
        let info = format!("cluster_state:ok\r\ncluster_current_epoch:{epoch}\r\n");
        let slots = slots.into_iter().map(|(first, last, owners)| {
            Value::Array([Value::Int(first), Value::Int(last)].into_iter().chain(owners).collect())
        });
        vec![Value::BulkString(info.into_bytes()), Value::Array(slots.collect())]
    }

    #[test]
    fn primaries_come_first_and_nodes_without_a_host_are_the_one_that_was_asked() {
        let from = Address::tcp("asked", 1);
        let slots =
            vec![(0, 9, vec![node_value("", 7), node_value("replica", 8)]), (10, 19, vec![node_value("other", 9)])];
        let mut scout = ClusterScout::new(vec![from.clone()]);
        let primaries = scout.believe(replies(3, slots), &from).expect("a good answer");
        let expected = vec![(0, 9, Address::tcp("asked", 7)), (10, 19, Address::tcp("other", 9))];
        assert_eq!(primaries, Primaries::many(expected));
        assert_eq!(
            scout.known,
            [("asked", 7), ("other", 9), ("replica", 8)].map(|(host, port)| Address::tcp(host, port))
        );
        assert_eq!(HashSlot::of("foo"), HashSlot(12_182));
    }

    #[test]
    fn a_node_that_was_cut_off_or_knows_nothing_is_not_believed() {
        let from = Address::tcp("asked", 1);
        let mut scout = ClusterScout::new(vec![from.clone()]);
        let slots = || vec![(0, 16_383, vec![node_value("a", 1)])];
        assert!(scout.believe(replies(5, slots()), &from).is_ok());
        assert!(scout.believe(replies(4, slots()), &from).is_err());
        assert!(scout.believe(replies(5, Vec::new()), &from).is_err());
        assert!(scout.believe(Vec::new(), &from).is_err());
        assert!(scout.believe(vec![Value::Nil, Value::Nil], &from).is_err());
        assert!(scout.believe(replies(5, slots()), &from).is_ok());
    }

    /// What one look finds, after so many seconds; `None` is a node that is not well.
    fn look(scout: &mut ClusterScout, now: Instant, epochs: &[Option<u64>]) -> bool {
        let (from, slots) = (Address::tcp("asked", 1), || vec![(0, 16_383, vec![node_value("a", 1)])]);
        let believed = epochs.iter().any(|epoch| {
            let mut replies = replies(epoch.unwrap_or(3), slots());
            if epoch.is_none() {
                replies[0] = Value::BulkString(b"cluster_state:fail\r\ncluster_current_epoch:3\r\n".to_vec());
            }
            scout.believe(replies, &from).is_ok()
        });
        believed || scout.end_look(now).is_some()
    }

    /// Somebody has made it anew: its epochs begin at one.
    #[test]
    fn another_cluster_at_the_same_addresses_is_believed_when_nobody_tells_of_the_old_one_for_long() {
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        let mut scout = ClusterScout::new(vec![Address::tcp("asked", 1)]);
        assert!(look(&mut scout, start, &[Some(5)]));
        // One that still is of the old one, or is not well, begins the count anew.
        for other in [&[Some(3), Some(5)][..], &[Some(3), None], &[]] {
            assert!((0..60).all(|second| !look(&mut scout, at(second), &[Some(3), Some(2)])));
            assert_eq!(look(&mut scout, at(60), other), other.contains(&Some(5)));
        }
        assert!((100..160).all(|second| !look(&mut scout, at(second), &[Some(3), Some(2)])));
        assert!(look(&mut scout, at(160), &[Some(2), Some(3)]));
        assert_eq!(scout.epoch, 3);
        assert!(look(&mut scout, at(161), &[Some(3)]) && !look(&mut scout, at(162), &[Some(2)]));
    }

    #[test]
    fn a_process_that_was_stopped_believes_no_old_epoch_at_once() {
        let mut scout = ClusterScout::new(vec![Address::tcp("asked", 1)]);
        let (start, hour) = (Instant::now(), Duration::from_hours(1));
        assert!(look(&mut scout, start, &[Some(5)]));
        assert!(!look(&mut scout, start, &[Some(3)]));
        assert!((0..8).all(|_| !look(&mut scout, start + hour, &[Some(3)])));
        assert!(look(&mut scout, start + hour, &[Some(3)]));
    }
}
