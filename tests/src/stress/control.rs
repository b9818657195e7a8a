//! The processes of a run: started, killed, stopped, replaced, and at the end asked to come to rest.

use std::collections::HashSet;
use std::io::{BufReader, Write};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::{ChildStdin, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::mpsc::SyncSender;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use super::settings::{ChildSettings, Settings};
use super::wire::Frame;
use crate::history::{Nanos, ProcessNumber, now};
use crate::process::Process;

/// What the parent hears.
#[derive(Debug)]
pub(crate) enum Event {
    /// A process is about to start.
    Started(ProcessNumber, Nanos),
    /// A piece of its log.
    Frame(ProcessNumber, Box<Frame>),
    /// Nothing more comes from it.
    Ended(ProcessNumber),
}

/// What a child is told before its input ends: come to rest. Without it, its parent is dead.
pub const REST: &str = "rest";

/// How long a child may take to come to rest.
const PATIENCE: Duration = Duration::from_mins(1);

/// The processes of a run.
#[derive(Debug)]
pub(crate) struct Children {
    program: PathBuf,
    settings: Settings,
    /// Which process takes which goes round.
    urls: Vec<String>,
    truth: SocketAddr,
    events: SyncSender<Event>,
    slots: Vec<Mutex<Option<Child>>>,
    next: AtomicU32,
    killed: Mutex<HashSet<ProcessNumber>>,
}

#[derive(Debug)]
struct Child {
    number: ProcessNumber,
    process: Process,
    input: ChildStdin,
}

impl Children {
    pub(crate) fn start(
        program: PathBuf,
        settings: &Settings,
        urls: Vec<String>,
        truth: SocketAddr,
        events: SyncSender<Event>,
    ) -> Self {
        let slots = (0..settings.processes).map(|_| Mutex::new(None)).collect();
        let (settings, next, killed) = (settings.clone(), AtomicU32::new(0), Mutex::default());
        let children = Self { program, settings, urls, truth, events, slots, next, killed };
        (0..children.slots.len()).for_each(|slot| children.replace(slot));
        children
    }

    pub(crate) fn len(&self) -> usize {
        self.slots.len()
    }

    /// SIGKILL, and another process in its place.
    pub(crate) fn replace(&self, slot: usize) {
        let mut child = lock(&self.slots[slot]);
        if let Some(old) = child.take() {
            lock(&self.killed).insert(old.number);
            old.process.kill();
        }
        *child = Some(self.launch(slot));
    }

    /// SIGSTOP.
    pub(crate) fn stop(&self, slot: usize) {
        lock(&self.slots[slot]).as_ref().inspect(|child| child.process.stop());
    }

    /// SIGCONT.
    pub(crate) fn resume(&self, slot: usize) {
        lock(&self.slots[slot]).as_ref().inspect(|child| child.process.resume());
    }

    /// The number of the process that lives there now.
    pub(crate) fn number(&self, slot: usize) -> ProcessNumber {
        lock(&self.slots[slot]).as_ref().map_or(0, |child| child.number)
    }

    /// Whether it was killed by us.
    pub(crate) fn was_killed(&self, number: ProcessNumber) -> bool {
        lock(&self.killed).contains(&number)
    }

    /// Asks all to come to rest and to end.
    pub(crate) fn rest(&self) {
        for slot in &self.slots {
            if let Some(child) = lock(slot).as_mut() {
                // A dead one is noticed by those who wait for its end.
                let _ = writeln!(child.input, "{REST}");
            }
        }
    }

    /// The numbers of those that do not come to an orderly end.
    pub(crate) fn restless(&self) -> Vec<ProcessNumber> {
        let children = self.slots.iter().filter_map(|slot| lock(slot).take());
        let ended = children.map(|child| (child.number, child.process.wait(PATIENCE)));
        ended.filter(|(_, status)| !status.is_some_and(|status| status.success())).map(|(number, _)| number).collect()
    }

    fn launch(&self, slot: usize) -> Child {
        let number = self.next.fetch_add(1, Ordering::Relaxed) + 1;
        let settings = ChildSettings {
            process: number,
            slot: (slot as u64, self.slots.len() as u64),
            url: self.urls[slot % self.urls.len()].clone(),
            truth: self.truth,
            seed: self.settings.seed.wrapping_add(u64::from(number)),
            without: self.settings.without.clone(),
            min_replicas: if slot % 2 == 1 { self.settings.min_replicas } else { 0 },
        };
        // Before it lives: no read is checked that an invalidation of it might bind.
        self.tell(Event::Started(number, now()));
        let mut command = Command::new(&self.program);
        command.args(settings.arguments()).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut process = command.spawn().expect("the program of the stress can be started");
        let input = process.stdin.take().expect("its standard input is a pipe");
        let mut output = BufReader::new(process.stdout.take().expect("its standard output is a pipe"));
        let events = self.events.clone();
        thread::spawn(move || {
            while let Ok(frame) = Frame::read(&mut output) {
                if events.send(Event::Frame(number, Box::new(frame))).is_err() {
                    return;
                }
            }
            // The run may be over.
            let _ = events.send(Event::Ended(number));
        });
        Child { number, process: Process::adopt(process), input }
    }

    fn tell(&self, event: Event) {
        // The run may be over.
        let _ = self.events.send(event);
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
