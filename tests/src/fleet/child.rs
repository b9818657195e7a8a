//! The side of the child.

use std::io::{BufRead, Write};

use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

use super::{MARK, NUMBER_VARIABLE, READY};

/// The body of the test that is a child of [`Fleet::start`](super::Fleet::start): runs `main` on a tokio runtime of its own
/// until the parent has no more questions. In a process that is no child it returns at once.
///
/// # Panics
///
/// If `main` does, or no runtime can be started.
pub fn child<M: AsyncFnOnce(Questions)>(main: M) {
    let Some(number) = std::env::var(NUMBER_VARIABLE).ok().and_then(|number| number.parse().ok()) else { return };
    let (sender, asked) = unbounded_channel();
    std::thread::spawn(move || read(&sender));
    let runtime = tokio::runtime::Runtime::new().expect("a process may have threads");
    runtime.block_on(async {
        say(0, READY);
        main(Questions { number, asked }).await;
    });
}

/// What the parent asks.
#[derive(Debug)]
pub struct Questions {
    number: usize,
    asked: UnboundedReceiver<Question>,
}

impl Questions {
    /// Which of the children this is, counted from 0.
    #[must_use]
    pub fn number(&self) -> usize {
        self.number
    }

    /// The next question. There always is one: when the parent has no more, this process ends.
    pub async fn next(&mut self) -> Option<Question> {
        self.asked.recv().await
    }
}

/// One question, to be answered once; a task of its own may do so.
#[derive(Debug)]
pub struct Question {
    number: u64,
    text: String,
}

impl Question {
    /// What the parent wrote.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The words of [`Question::text`].
    #[must_use]
    pub fn words(&self) -> Vec<&str> {
        self.text.split_whitespace().collect()
    }

    /// Answers.
    ///
    /// # Panics
    ///
    /// If the answer is more than one line.
    pub fn answer(self, answer: &str) {
        say(self.number, answer);
    }
}

/// Passes questions on until the parent closes the pipe, or dies.
fn read(questions: &UnboundedSender<Question>) {
    for line in std::io::stdin().lock().lines().map_while(Result::ok) {
        let Some((number, text)) = line.split_once(' ') else { continue };
        let Ok(number) = number.parse() else { continue };
        // The child may be busy ending.
        let _ = questions.send(Question { number, text: text.to_owned() });
    }
    // Whatever the child waits for: nobody wants to know any more.
    std::process::exit(0);
}

fn say(number: u64, text: &str) {
    assert!(!text.contains('\n'), "an answer is one line");
    // On a line of its own: the test framework leaves its own line open.
    let line = format!("\n{MARK}{number} {text}\n");
    let mut output = std::io::stdout().lock();
    // A parent that is gone ends this process soon.
    let _ = output.write_all(line.as_bytes()).and_then(|()| output.flush());
}
