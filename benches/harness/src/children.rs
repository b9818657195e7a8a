//! Other processes of a run, which are asked line by line.

use std::io::{BufRead, BufReader, Write};
use std::process::{ChildStdin, ChildStdout, Command, Stdio};

/// What a child says when it can be asked.
const READY: &str = "ready";

/// One of them; it ends when this is dropped, and with the bench, whatever that died of.
pub struct Child {
    process: std::process::Child,
    input: Option<ChildStdin>,
    output: BufReader<ChildStdout>,
}

impl Child {
    pub fn start(command: &mut Command) -> Self {
        let mut process = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("its program is there");
        let input = process.stdin.take();
        let output = BufReader::new(process.stdout.take().expect("its output is a pipe"));
        Self { process, input, output }
    }

    pub fn tell(&mut self, line: &str) {
        let input = self.input.as_mut().expect("the pipe is open until this is dropped");
        writeln!(input, "{line}").expect("the child reads");
    }

    /// The next line that it says.
    pub fn hear(&mut self) -> String {
        let mut line = String::new();
        let read = self.output.read_line(&mut line).expect("the child writes text");
        assert!(read > 0, "a child has died");
        line.trim_end().to_owned()
    }

    /// Waits until it is ready to be asked.
    pub fn ready(&mut self) {
        self.expect(READY);
    }

    pub fn expect(&mut self, line: &str) {
        let heard = self.hear();
        assert_eq!(heard, line, "what a child says");
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        drop(self.input.take());
        // Only an error when somebody else has waited for it.
        let _status = self.process.wait();
    }
}

/// Says that this process is ready, and answers lines until there are no more.
pub fn serve(mut answer: impl FnMut(&str) -> String) {
    say(READY);
    for line in std::io::stdin().lock().lines().map_while(Result::ok) {
        say(&answer(&line));
    }
}

/// Says a line to the parent.
pub fn say(line: &str) {
    let mut output = std::io::stdout().lock();
    // A parent that is gone ends this process soon.
    let _gone = writeln!(output, "{line}").and_then(|()| output.flush());
}
