//! A thousand calls that meet one cold key: in one process, and a quarter of them in each of four.

use super::children::Child;
use super::contenders::Peer;
use super::misses::loaders;
use super::stage::Stage;
use super::turns::Extent;
use super::work::{cold, load_slowly_from_now_on};
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
    let calls = (CALLS / PROCESSES).to_string();
    let start = |_| Child::start(&["call", stage.server.url(), name, &calls]);
    let mut children: Vec<Child> = (0..PROCESSES).map(start).collect();
    children.iter_mut().for_each(Child::ready);
    let mut stampede = || {
        let (tenant, id) = cold();
        for child in &mut children {
            child.tell(&format!("{tenant} {id}"));
        }
        children.iter_mut().map(|child| child.hear().parse::<u64>().expect("a number of loads")).sum()
    };
    (0..stampedes).map(|_| stampede()).collect()
}

/// A child: for each line with a tenant and an id, a stampede.
pub(super) fn child(url: &str, name: &str, calls: &str) {
    let stage = Stage::at(url);
    let peer = super::contenders::by_name(&stage, name).expect("the parent names a contender");
    let calls = calls.parse().expect("the parent gives a number");
    // Connections are made before the first stampede, not by it: this user is stored already.
    peer.calls.stampede(&stage, crate::workload::key(0), 1);
    load_slowly_from_now_on(true);
    super::children::serve(|line| {
        let (tenant, id) = line.split_once(' ').expect("the parent gives two numbers");
        let user = (tenant.parse().expect("a tenant"), id.parse().expect("an id"));
        peer.calls.stampede(&stage, user, calls).to_string()
    });
}
