//! One of the three processes, as the one sees it that started it.

use std::collections::HashMap;
use std::env;
use std::error::Error;
use std::path::Path;
use std::process::Stdio;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader, Lines};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};
use tokio::sync::{oneshot, watch};
use tokio::time;

use crate::log::{Function, Log, Read, Source};

/// How long a process may take to start, or to answer.
const PATIENCE: Duration = Duration::from_secs(20);

/// The question that nobody asks: whether it is ready.
const READY: u64 = 0;

/// A process of the fleet; it ends when this is dropped.
pub(crate) struct Member {
    name: char,
    process: Child,
    questions: ChildStdin,
    asked: u64,
    heard: Arc<Heard>,
}

/// What it says.
struct Heard {
    log: Arc<Mutex<Log>>,
    waiting: Mutex<HashMap<u64, oneshot::Sender<String>>>,
    /// How many reports it has begun to make.
    loads: watch::Sender<u64>,
}

/// What it was served, by its own words.
#[derive(Clone, Copy)]
pub(crate) struct Served {
    pub(crate) number: u64,
    pub(crate) from: Source,
    pub(crate) began: Duration,
    pub(crate) took: Duration,
}

impl Member {
    /// Starts this program once more, and waits until it is ready.
    pub(crate) async fn start(
        name: char,
        url: &str,
        database: &Path,
        log: &Arc<Mutex<Log>>,
    ) -> Result<Self, Box<dyn Error>> {
        let mut command = Command::new(env::current_exe()?);
        command.args(["serve", url]).arg(database).stdin(Stdio::piped()).stdout(Stdio::piped()).kill_on_drop(true);
        let mut process = command.spawn()?;
        let questions = process.stdin.take().ok_or("it has no standard input")?;
        let output = process.stdout.take().ok_or("it has no standard output")?;
        let heard = Heard { log: Arc::clone(log), waiting: Mutex::default(), loads: watch::Sender::new(0) };
        let heard = Arc::new(heard);
        let ready = heard.wait_for(READY);
        tokio::spawn(Arc::clone(&heard).listen(name, BufReader::new(output).lines()));
        time::timeout(PATIENCE, ready).await?.map_err(|_| format!("process {name} does not start"))?;
        Ok(Self { name, process, questions, asked: READY, heard })
    }

    /// Asks, and waits for the answer.
    pub(crate) async fn ask(&mut self, question: &str) -> Result<String, Box<dyn Error>> {
        let answer = self.begin(question).await?;
        Ok(time::timeout(PATIENCE, answer).await?.map_err(|_| format!("process {} is dead", self.name))?)
    }

    /// Asks what it is served by a call of its own.
    pub(crate) async fn ask_for(&mut self, reading: &str) -> Result<Served, Box<dyn Error>> {
        let answer = self.ask(reading).await?;
        Served::parse(&answer).ok_or_else(|| format!("process {}, asked for `{reading}`: {answer}", self.name).into())
    }

    /// Asks, and does not wait.
    pub(crate) async fn begin(&mut self, question: &str) -> Result<oneshot::Receiver<String>, Box<dyn Error>> {
        self.asked += 1;
        let answer = self.heard.wait_for(self.asked);
        self.questions.write_all(format!("{} {question}\n", self.asked).as_bytes()).await?;
        Ok(answer)
    }

    /// How many reports it has begun to make.
    pub(crate) fn loads(&self) -> watch::Receiver<u64> {
        self.heard.loads.subscribe()
    }

    /// SIGKILL: it does nothing more, and tells nobody.
    pub(crate) async fn kill(&mut self) -> Result<(), Box<dyn Error>> {
        Ok(self.process.kill().await?)
    }
}

impl Heard {
    /// Reads what it says until it ends.
    async fn listen(self: Arc<Self>, name: char, mut lines: Lines<BufReader<ChildStdout>>) {
        while let Ok(Some(line)) = lines.next_line().await {
            let (word, rest) = line.split_once(' ').unwrap_or((&line, ""));
            match (word, rest.split_once(' ')) {
                ("ready", _) => self.answer(READY, ""),
                ("answer", Some((number, text))) => self.answer(number.parse().unwrap_or(READY), text),
                ("loading", _) => self.loads.send_modify(|loads| *loads += 1),
                ("read", _) => self.log().reads.extend(read(name, rest)),
                _ => eprintln!("{name}: {line}"),
            }
        }
        locked(&self.waiting).clear();
    }

    fn wait_for(&self, number: u64) -> oneshot::Receiver<String> {
        let (answer, answered) = oneshot::channel();
        locked(&self.waiting).insert(number, answer);
        answered
    }

    fn answer(&self, number: u64, text: &str) {
        let waiting = locked(&self.waiting).remove(&number);
        // Only an error when nobody waits any more.
        let _ = waiting.map(|waiting| waiting.send(text.to_owned()));
    }

    fn log(&self) -> MutexGuard<'_, Log> {
        locked(&self.log)
    }
}

impl Served {
    /// `<number> <source> <when it began> <how long it took>`, times in nanoseconds.
    fn parse(text: &str) -> Option<Self> {
        let mut words = text.split(' ');
        let (number, from) = (words.next()?.parse().ok()?, Source::parse(words.next()?)?);
        let mut time = || Some(Duration::from_nanos(words.next()?.parse().ok()?));
        Some(Self { number, from, began: time()?, took: time()? })
    }
}

/// `<function> <item> <what it was served>`.
fn read(by: char, text: &str) -> Option<Read> {
    let (function, rest) = text.split_once(' ')?;
    let (item, served) = rest.split_once(' ')?;
    let function = Function::ALL.into_iter().find(|known| known.name() == function)?;
    let Served { number, from, began, .. } = Served::parse(served)?;
    Some(Read { by, function, item: item.parse().ok()?, number, from, began })
}

pub(crate) fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
