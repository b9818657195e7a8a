//! A thousand calls that meet one cold key: in one process, and a quarter of them in each of four.

use harness::remote::Remote;
use harness::stage::Stage;
use harness::work::{cold, load_slowly_from_now_on};

use super::children::command;
use super::contenders::Peer;
use super::misses::loaders;
use super::turns::Extent;
use crate::report::progress;
use crate::table::Table;

const CALLS: usize = 1_000;
const PROCESSES: usize = 4;

const HEAD: &[&str] = &["contender", "format", "loads in one process", "loads in 4 processes"];

/// How often the body ran, for each contender that loads. The body takes 50 ms.
pub(super) struct Stampedes(Vec<(Loads, Loads)>);

/// The loads of each stampede.
pub(super) struct Loads(Vec<u64>);

impl Loads {
    pub(super) fn most(&self) -> u64 {
        self.0.iter().copied().max().unwrap_or(0)
    }

    fn cell(&self) -> String {
        let least = self.0.iter().copied().min().unwrap_or(0);
        if least == self.most() { least.to_string() } else { format!("{least} to {}", self.most()) }
    }
}

impl Stampedes {
    pub(super) fn measure(stage: &Stage, peers: &[Peer], extent: Extent) -> Self {
        load_slowly_from_now_on(true);
        let of = |peer: &&Peer| {
            progress(&format!("stampedes of {}", peer.name));
            let alone = (0..extent.stampedes).map(|_| peer.calls.stampede(stage, cold(), CALLS)).collect();
            (Loads(alone), Loads(among_processes(stage, peer.name, extent.stampedes)))
        };
        let loads = loaders(peers).iter().map(of).collect();
        load_slowly_from_now_on(false);
        Self(loads)
    }

    /// Of one contender: in one process, and in four.
    pub(super) fn of(&self, peers: &[Peer], name: &str) -> Option<&(Loads, Loads)> {
        loaders(peers).iter().position(|peer| peer.name == name).and_then(|index| self.0.get(index))
    }

    pub(super) fn table(&self, peers: &[Peer]) -> Table {
        let mut table = Table::new(HEAD);
        for (peer, (alone, among)) in loaders(peers).into_iter().zip(&self.0) {
            table.row(vec![peer.name.to_owned(), peer.format.to_owned(), alone.cell(), among.cell()]);
        }
        table
    }
}

/// The loads of all processes together.
fn among_processes(stage: &Stage, name: &str, stampedes: usize) -> Vec<u64> {
    let start = |_| Remote::start(&mut command(&["call", stage.server.url(), name]));
    let children: Vec<Remote> = (0..PROCESSES).map(start).collect();
    let stampede = || {
        let user = cold();
        for child in &children {
            child.begin_stampede(user, CALLS / PROCESSES);
        }
        children.iter().map(Remote::stampeded).sum()
    };
    (0..stampedes).map(|_| stampede()).collect()
}
