//! Several real processes in one test: the test program starts itself again, with one of its own tests as the child.
//!
//! The child is an ordinary `#[test]` that calls [`child`]; run by itself it returns at once. Parent and child talk in
//! lines: a question, and its answer.

mod child;

use std::collections::HashMap;
use std::fmt;
use std::io::{BufRead, BufReader, Write};
use std::ops::Index;
use std::process::{ChildStdin, ChildStdout, Command, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use futures::future::join_all;
use tokio::sync::oneshot;
use tokio::time::timeout;

use crate::process::Process;

pub use child::{Question, Questions, child};

/// Set for children: their number.
const NUMBER_VARIABLE: &str = "CACHE_TESTS_CHILD";

/// Begins every line of a child that is for its parent: the test framework prints there too.
const MARK: &str = "cache-tests-child ";

/// What a child says when it is ready for questions.
const READY: &str = "ready";

/// How long a child may take to start, and to answer [`FleetChild::ask`].
const PATIENCE: Duration = Duration::from_secs(30);

/// Some processes of one test. They are killed when it is dropped, and end when the test process does.
#[derive(Debug)]
pub struct Fleet(Vec<FleetChild>);

impl Fleet {
    /// Starts `count` processes that run the test with this name (`module::test` as the test framework prints it), and
    /// waits until all are ready.
    ///
    /// # Panics
    ///
    /// If one is not ready within 30 seconds: there is no such test, or it does not call [`child`].
    pub async fn start(count: usize, test: &str) -> Self {
        Self::start_with(count, test, &[]).await
    }

    /// The same, with environment variables for the children.
    ///
    /// # Panics
    ///
    /// If one is not ready within 30 seconds: there is no such test, or it does not call [`child`].
    pub async fn start_with(count: usize, test: &str, variables: &[(&str, &str)]) -> Self {
        let children = (0..count).map(|number| FleetChild::start(number, test, variables));
        Self(join_all(children).await)
    }

    /// Asks all at once, and returns their answers in order.
    ///
    /// # Panics
    ///
    /// If one does not answer within 30 seconds.
    pub async fn ask_all(&self, question: &str) -> Vec<String> {
        join_all(self.0.iter().map(|child| child.ask(question))).await
    }

    /// Its processes, in order.
    pub fn iter(&self) -> std::slice::Iter<'_, FleetChild> {
        self.0.iter()
    }
}

impl Index<usize> for Fleet {
    type Output = FleetChild;

    fn index(&self, number: usize) -> &FleetChild {
        &self.0[number]
    }
}

impl<'a> IntoIterator for &'a Fleet {
    type Item = &'a FleetChild;
    type IntoIter = std::slice::Iter<'a, FleetChild>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

/// One process of a [`Fleet`].
#[derive(Debug)]
pub struct FleetChild {
    number: usize,
    process: Process,
    questions: Mutex<ChildStdin>,
    asked: AtomicU64,
    waiting: Arc<Waiting>,
}

/// Who waits for which answer. Number 0 is the word that the child is ready.
#[derive(Debug, Default)]
struct Waiting(Mutex<Answers>);

#[derive(Debug, Default)]
struct Answers {
    awaited: HashMap<u64, oneshot::Sender<String>>,
    /// No answer can come any more.
    closed: bool,
}

/// Why there is no answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NoAnswer {
    /// None came in time; the question may still be worked on.
    Late,
    /// The child is dead.
    Dead,
}

impl fmt::Display for NoAnswer {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(match self {
            Self::Late => "it does not answer in time",
            Self::Dead => "it is dead",
        })
    }
}

impl std::error::Error for NoAnswer {}

impl FleetChild {
    async fn start(number: usize, test: &str, variables: &[(&str, &str)]) -> Self {
        let mut command = Command::new(std::env::current_exe().expect("a test program knows its path"));
        command.args([test, "--exact", "--include-ignored", "--nocapture", "--test-threads=1"]);
        command.env(NUMBER_VARIABLE, number.to_string()).envs(variables.iter().copied());
        let mut process =
            command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("it started once already");
        let questions = process.stdin.take().expect("its standard input is a pipe");
        let answers = process.stdout.take().expect("its standard output is a pipe");
        let waiting = Arc::new(Waiting::default());
        let ready = waiting.register(0);
        let listening = Arc::clone(&waiting);
        thread::spawn(move || listening.listen(answers));
        let process = Process::adopt(process);
        let child = Self { number, process, questions: Mutex::new(questions), asked: AtomicU64::new(0), waiting };
        match child.receive(ready, PATIENCE).await {
            Ok(_) => child,
            Err(why) => panic!("child {number} did not get ready ({why}); is there a test `{test}`?"),
        }
    }

    /// Asks, and waits for the answer. Several questions may be under way at once.
    ///
    /// # Panics
    ///
    /// If the child does not answer within 30 seconds, or is dead; what it died of is in the output of the test.
    pub async fn ask(&self, question: &str) -> String {
        match self.try_ask(question, PATIENCE).await {
            Ok(answer) => answer,
            Err(why) => panic!("child {}, asked `{question}`: {why}", self.number),
        }
    }

    /// Asks, and waits for the answer no longer than that.
    ///
    /// # Errors
    ///
    /// If the child does not answer in time, or is dead.
    ///
    /// # Panics
    ///
    /// If the question is more than one line.
    pub async fn try_ask(&self, question: &str, within: Duration) -> Result<String, NoAnswer> {
        assert!(!question.contains('\n'), "a question is one line");
        let number = self.asked.fetch_add(1, Ordering::Relaxed) + 1;
        let answer = self.waiting.register(number);
        {
            let mut questions = self.questions.lock().unwrap_or_else(PoisonError::into_inner);
            writeln!(questions, "{number} {question}").map_err(|_| NoAnswer::Dead)?;
        }
        self.receive(answer, within).await
    }

    async fn receive(&self, answer: oneshot::Receiver<String>, within: Duration) -> Result<String, NoAnswer> {
        match timeout(within, answer).await {
            Ok(Ok(answer)) => Ok(answer),
            Ok(Err(_)) => Err(NoAnswer::Dead),
            Err(_) => Err(NoAnswer::Late),
        }
    }

    /// SIGSTOP: its connections stand, and it does nothing. Returns when it has stopped.
    pub fn stop(&self) {
        self.process.stop();
    }

    /// SIGCONT.
    pub fn resume(&self) {
        self.process.resume();
    }

    /// SIGKILL.
    pub fn kill(&self) {
        self.process.kill();
    }

    /// Its process id.
    #[must_use]
    pub fn id(&self) -> u32 {
        self.process.id()
    }
}

impl Waiting {
    fn register(&self, number: u64) -> oneshot::Receiver<String> {
        let (answer, answered) = oneshot::channel();
        let mut answers = self.answers();
        if !answers.closed {
            answers.awaited.insert(number, answer);
        }
        answered
    }

    /// Hands out answers until the child closes its output.
    fn listen(&self, output: ChildStdout) {
        for line in BufReader::new(output).lines().map_while(Result::ok) {
            match line.strip_prefix(MARK).and_then(|line| line.split_once(' ')) {
                Some((number, answer)) => self.answer(number, answer),
                None if line.is_empty() => {}
                None => eprintln!("child: {line}"),
            }
        }
        let mut answers = self.answers();
        answers.closed = true;
        answers.awaited.clear();
    }

    fn answer(&self, number: &str, answer: &str) {
        let asked = number.parse().ok().and_then(|number: u64| self.answers().awaited.remove(&number));
        // Nobody waits for a late answer.
        let _ = asked.map(|asked| asked.send(answer.to_owned()));
    }

    fn answers(&self) -> MutexGuard<'_, Answers> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
