//! What goes wrong with what servers hold, and with the processes.

use std::time::{Duration, Instant};

use super::plan::{Kind, Plan};
use super::world::World;
use crate::stress::{APP, Children, Diary, Function, MAX_STALENESS, Place, RECORDS};

/// The lane of data and processes.
pub(super) struct Data<'a> {
    pub(super) world: &'a World,
    pub(super) children: &'a Children,
    pub(super) diary: Diary,
    pub(super) random: fastrand::Rng,
    /// Those that are stopped, and until when.
    pub(super) stopped: Vec<(Instant, usize)>,
}

impl Data<'_> {
    /// Lets things go wrong until it is over, and then repairs all.
    pub(super) fn run(mut self, mut plan: Plan) {
        self.random = plan.random();
        loop {
            let step = plan.step();
            self.world.wait(step.pause);
            self.resume(Instant::now());
            if self.world.is_over() {
                break;
            }
            self.diary.count(step.number);
            self.happen(step.kind);
        }
        self.resume(Instant::now() + Duration::from_hours(1));
    }

    fn happen(&mut self, kind: Kind) {
        match kind {
            Kind::EvictStamp => self.evict(false),
            Kind::TrimBus => {
                let length = self.random.u32(0..3).to_string();
                self.command(self.world.bus_shard(), &["XTRIM", &format!("{APP}:bus"), "MAXLEN", &length]);
            }
            Kind::DropBus => self.command(self.world.bus_shard(), &["DEL", &format!("{APP}:bus")]),
            Kind::DropRoutes => self.command(self.world.bus_shard(), &["DEL", &format!("{{{APP}:bus}}:routes")]),
            Kind::FlushScripts => {
                let shard = self.shard();
                self.command(shard, &["SCRIPT", "FLUSH"]);
            }
            Kind::FlushAll => {
                let shard = self.shard();
                self.diary.note(format!("FLUSHALL on shard {shard}"), None);
                self.world.empty(shard);
            }
            Kind::KillClient => self.kill_client(),
            Kind::KillProcess => {
                let slot = self.random.usize(0..self.children.len());
                self.diary.note(format!("process {} is killed and replaced", self.children.number(slot)), None);
                self.stopped.retain(|(_, stopped)| *stopped != slot);
                self.children.replace(slot);
            }
            Kind::StopProcess => self.stop_process(),
            _ => self.evict(true),
        }
    }

    fn evict(&mut self, is_entry: bool) {
        let function = Function::draw(&mut self.random);
        let [entry, stamp] = Place { function, record: self.random.u64(0..RECORDS) }.names(APP);
        let name = if is_entry { entry } else { stamp };
        self.diary.note(format!("{name} is evicted"), Some(name.clone()));
        self.world.call(self.world.shard_of(&name), &["DEL", &name]);
    }

    fn command(&self, shard: usize, words: &[&str]) {
        self.diary.note(words.join(" "), None);
        self.world.call(shard, words);
    }

    fn kill_client(&mut self) {
        let shard = self.shard();
        let list = self.world.call(shard, &["CLIENT", "LIST"]).map(|reply| reply.to_string()).unwrap_or_default();
        let ours: Vec<_> = list.lines().filter(|line| line.contains(&format!(" name={APP}:"))).collect();
        let Some(line) = self.random.choice(&ours) else { return };
        let field =
            |name: &str| line.split(' ').find_map(|field| field.strip_prefix(name)).unwrap_or_default().to_owned();
        self.diary.note(format!("CLIENT KILL {} at {}", field("name="), field("addr=")), None);
        self.world.call(shard, &["CLIENT", "KILL", "ID", &field("id=")]);
    }

    /// Longer than a process may serve what it cannot confirm, mostly.
    fn stop_process(&mut self) {
        let slot = self.random.usize(0..self.children.len());
        if self.stopped.iter().any(|(_, stopped)| *stopped == slot) {
            return;
        }
        let span = MAX_STALENESS.mul_f64(0.3 + 3.0 * self.random.f64());
        self.diary.note(format!("process {} is stopped for {span:.0?}", self.children.number(slot)), None);
        self.children.stop(slot);
        self.stopped.push((Instant::now() + span, slot));
    }

    fn resume(&mut self, time: Instant) {
        for (_, slot) in self.stopped.extract_if(.., |(until, _)| *until <= time) {
            self.children.resume(slot);
            self.diary.note(format!("process {} goes on", self.children.number(slot)), None);
        }
    }

    fn shard(&mut self) -> usize {
        self.random.usize(0..self.world.shards())
    }
}
