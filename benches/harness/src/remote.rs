//! The calls of a contender that another process has: words in, a line out.
//!
//! That process calls in the place of this one. So each request says how loads are here and which cold user is the next
//! one, and each answer, which one is after it: nobody reads a cold user twice.

use std::cell::RefCell;
use std::fmt;
use std::process::Command;
use std::time::Duration;

use crate::calls::{Calls, Figures};
use crate::children::{self, Child};
use crate::stage::Stage;
use crate::work::{Users, cold_from, load_slowly_from_now_on, loads_slowly, next_cold};
use crate::workload::key;

/// The answer where there is none: it cannot call so few at the same time.
const NONE: &str = "none";

/// A contender in a process of its own.
pub struct Remote(RefCell<Child>);

/// What one line asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Request {
    Warm,
    Time { users: Users, concurrent: usize, turn: Duration },
    Count { users: Users, concurrent: usize, calls: usize },
    Stampede { user: (u64, u64), calls: usize },
}

impl Remote {
    /// Starts a program that does [`serve`], and waits until it is ready.
    pub fn start(command: &mut Command) -> Self {
        let mut child = Child::start(command);
        child.ready();
        Self(RefCell::new(child))
    }

    /// As [`Calls::stampede`], without waiting for it: [`Self::stampeded`] does.
    pub fn begin_stampede(&self, user: (u64, u64), calls: usize) {
        self.tell(Request::Stampede { user, calls });
    }

    pub fn stampeded(&self) -> u64 {
        self.hear().parse().expect("a number of loads")
    }

    fn ask(&self, request: Request) -> String {
        self.tell(request);
        self.hear()
    }

    fn tell(&self, request: Request) {
        self.0.borrow_mut().tell(&line(next_cold(), loads_slowly(), request));
    }

    fn hear(&self) -> String {
        let line = self.0.borrow_mut().hear();
        let (next, answer) = line.split_once(' ').expect("the next cold user, and the answer");
        cold_from(next.parse().expect("a number of a user"));
        answer.to_owned()
    }
}

/// The server is that of the stage already: the process was started with its URL.
impl Calls for Remote {
    fn warm(&self, _: &Stage) {
        self.ask(Request::Warm);
    }

    fn time(&self, _: &Stage, users: Users, concurrent: usize, turn: Duration) -> Option<Figures> {
        let answer = self.ask(Request::Time { users, concurrent, turn });
        (answer != NONE).then(|| figures(&answer).expect("as many numbers as there are figures"))
    }

    fn count(&self, _: &Stage, users: Users, concurrent: usize, calls: usize) -> Option<f64> {
        let answer = self.ask(Request::Count { users, concurrent, calls });
        (answer != NONE).then(|| answer.parse().expect("a number of allocations"))
    }

    fn stampede(&self, _: &Stage, user: (u64, u64), calls: usize) -> u64 {
        self.begin_stampede(user, calls);
        self.stampeded()
    }
}

/// What a process does that is started as a [`Remote`].
pub fn serve(stage: &Stage, calls: &dyn Calls) {
    // Connections are made before the first request, not by it.
    calls.stampede(stage, key(0), 1);
    children::serve(|line| {
        let (next, slowly, request) = read(line).expect("the parent asks as it is agreed");
        cold_from(next);
        load_slowly_from_now_on(slowly);
        let answer = request.answer(stage, calls);
        format!("{} {answer}", next_cold())
    });
}

fn line(next_cold: u64, slowly: bool, request: Request) -> String {
    format!("{next_cold} {slowly} {request}")
}

fn read(line: &str) -> Option<(u64, bool, Request)> {
    let words: Vec<&str> = line.split(' ').collect();
    let [next_cold, slowly, request @ ..] = words.as_slice() else { return None };
    Some((next_cold.parse().ok()?, slowly.parse().ok()?, Request::read(request)?))
}

impl Request {
    fn read(words: &[&str]) -> Option<Self> {
        match *words {
            ["warm"] => Some(Self::Warm),
            ["time", users, concurrent, turn] => Some(Self::Time {
                users: Users::called(users)?,
                concurrent: concurrent.parse().ok()?,
                turn: Duration::from_micros(turn.parse().ok()?),
            }),
            ["count", users, concurrent, calls] => Some(Self::Count {
                users: Users::called(users)?,
                concurrent: concurrent.parse().ok()?,
                calls: calls.parse().ok()?,
            }),
            ["stampede", tenant, id, calls] => {
                Some(Self::Stampede { user: (tenant.parse().ok()?, id.parse().ok()?), calls: calls.parse().ok()? })
            }
            _ => None,
        }
    }

    fn answer(self, stage: &Stage, calls: &dyn Calls) -> String {
        let or_none = |answer: Option<String>| answer.unwrap_or_else(|| NONE.to_owned());
        match self {
            Self::Warm => {
                calls.warm(stage);
                "warm".to_owned()
            }
            Self::Time { users, concurrent, turn } => {
                or_none(calls.time(stage, users, concurrent, turn).map(|figures| numbers(&figures)))
            }
            Self::Count { users, concurrent, calls: often } => {
                or_none(calls.count(stage, users, concurrent, often).map(|count| count.to_string()))
            }
            Self::Stampede { user, calls: often } => calls.stampede(stage, user, often).to_string(),
        }
    }
}

impl fmt::Display for Request {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Warm => write!(out, "warm"),
            Self::Time { users, concurrent, turn } => {
                write!(out, "time {} {concurrent} {}", users.name(), turn.as_micros())
            }
            Self::Count { users, concurrent, calls } => write!(out, "count {} {concurrent} {calls}", users.name()),
            Self::Stampede { user: (tenant, id), calls } => write!(out, "stampede {tenant} {id} {calls}"),
        }
    }
}

fn numbers(figures: &Figures) -> String {
    let Figures { per_second, p50, p99, client, server, loads, commands, lookups } = figures;
    format!("{per_second} {p50} {p99} {client} {server} {loads} {commands} {lookups}")
}

fn figures(numbers: &str) -> Option<Figures> {
    let numbers: Vec<f64> = numbers.split(' ').map(str::parse).collect::<Result<_, _>>().ok()?;
    let [per_second, p50, p99, client, server, loads, commands, lookups] = numbers.try_into().ok()?;
    Some(Figures { per_second, p50, p99, client, server, loads, commands, lookups })
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{Request, figures, line, numbers, read};
    use crate::calls::Figures;
    use crate::work::Users;

    #[test]
    fn a_request_is_read_as_it_was_meant() {
        let requests = [
            Request::Warm,
            Request::Time { users: Users::Warm, concurrent: 512, turn: Duration::from_millis(250) },
            Request::Time { users: Users::Cold, concurrent: 1, turn: Duration::from_secs(1) },
            Request::Count { users: Users::Warm, concurrent: 64, calls: 50_000 },
            Request::Stampede { user: (7, 1_000_007), calls: 250 },
        ];
        for (request, slowly) in requests.into_iter().zip([true, false].into_iter().cycle()) {
            let line = line(1_000_042, slowly, request);
            assert_eq!(read(&line), Some((1_000_042, slowly, request)), "{line}");
        }
        assert_eq!(read("1 false time lukewarm 1 1"), None);
    }

    #[test]
    fn figures_stay_what_they_are() {
        let told = Figures {
            per_second: 1e6 / 3.0,
            p50: f64::NAN,
            p99: 0.1,
            client: 2.5,
            server: 1e-9,
            loads: 0.0,
            commands: 1.0 / 64.0,
            lookups: 1.0,
        };
        let heard = figures(&numbers(&told)).expect("eight numbers");
        assert_eq!(format!("{heard:?}"), format!("{told:?}"));
        assert!(figures("1 2 3").is_none());
    }
}
