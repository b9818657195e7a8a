//! What a server's errors mean.

use redis::ServerError;

use crate::fault::{Fault, Refusal};
use crate::redis::target::Address;

/// A server's error.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Answer {
    Refused(Refusal, String),
    /// In a cluster, another server has the slot.
    Elsewhere(Redirect),
}

/// Which server to go to instead.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Redirect {
    pub(crate) to: Address,
    pub(crate) kind: RedirectKind,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum RedirectKind {
    /// `MOVED`: from now on.
    Moved,
    /// `ASK`: this once, with `ASKING` before it.
    Ask,
}

/// Why a connection must not be used any more, although it works.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Unfit {
    /// Nothing is wrong with it.
    No,
    /// The server is not ready to answer anything.
    NotReady,
    /// The server is not the primary.
    Replica,
}

impl Answer {
    /// `from` is the server that answered: a redirection without a host means the same one, on another port.
    pub(crate) fn of(error: &ServerError, from: &Address) -> Self {
        let details = error.details().unwrap_or_default();
        let kind = match error.code() {
            "MOVED" => Some(RedirectKind::Moved),
            "ASK" => Some(RedirectKind::Ask),
            _ => None,
        };
        if let Some(kind) = kind
            && let Some(to) = details.split(' ').next_back().and_then(|place| told(place, from))
        {
            return Self::Elsewhere(Redirect { to, kind });
        }
        Self::Refused(refusal(error.code()), format!("{} {details}", error.code()))
    }

    pub(crate) fn unfit(&self) -> Unfit {
        let Self::Refused(refusal, answer) = self else { return Unfit::No };
        match refusal {
            Refusal::ReadOnly => Unfit::Replica,
            Refusal::NotReady if answer.starts_with("MASTERDOWN") => Unfit::Replica,
            Refusal::NotReady if answer.starts_with("LOADING") => Unfit::NotReady,
            // The same code tells of a single slot that nobody has: all others are well.
            Refusal::NotReady if answer == "CLUSTERDOWN The cluster is down" => Unfit::NotReady,
            _ => Unfit::No,
        }
    }
}

impl From<Answer> for Fault {
    fn from(answer: Answer) -> Self {
        match answer {
            Answer::Refused(refusal, answer) => Self::Refused(refusal, answer),
            Answer::Elsewhere(redirect) => {
                Self::Refused(Refusal::NotReady, format!("the slot has moved to {}", redirect.to))
            }
        }
    }
}

/// `?` is a host that is not told, as in `CLUSTER SLOTS`: of a node without a name, where names are preferred.
fn told(place: &str, from: &Address) -> Option<Address> {
    match (Address::told(place)?, from) {
        (Address::Tcp { host, port }, Address::Tcp { host: same, .. }) if matches!(host.as_str(), "" | "?") => {
            Some(Address::tcp(same, port))
        }
        (address, _) => Some(address),
    }
}

pub(crate) fn refusal(code: &str) -> Refusal {
    match code {
        "OOM" => Refusal::OutOfMemory,
        "READONLY" => Refusal::ReadOnly,
        "LOADING" | "MASTERDOWN" | "CLUSTERDOWN" | "TRYAGAIN" | "BUSY" => Refusal::NotReady,
        "MISCONF" | "NOREPLICAS" => Refusal::WritesStopped,
        "WRONGTYPE" => Refusal::WrongType,
        "NOAUTH" | "WRONGPASS" | "NOPERM" => Refusal::Credentials,
        _ => Refusal::Other,
    }
}

#[cfg(test)]
mod tests {
    use redis::Value;

    use super::*;

    fn answer(text: &str) -> Answer {
        match redis::parse_redis_value(format!("-{text}\r\n").as_bytes()) {
            Ok(Value::ServerError(error)) => Answer::of(&error, &Address::tcp("same", 1)),
            other => panic!("{text} is no error: {other:?}"),
        }
    }

    #[test]
    fn every_code_has_its_meaning_and_keeps_its_text() {
        for (text, refusal, unfit) in [
            ("OOM command not allowed when used memory > 'maxmemory'.", Refusal::OutOfMemory, Unfit::No),
            ("READONLY You can't write against a read only replica.", Refusal::ReadOnly, Unfit::Replica),
            ("LOADING Redis is loading the dataset in memory", Refusal::NotReady, Unfit::NotReady),
            ("MASTERDOWN Link with MASTER is down", Refusal::NotReady, Unfit::Replica),
            ("CLUSTERDOWN The cluster is down", Refusal::NotReady, Unfit::NotReady),
            ("CLUSTERDOWN Hash slot not served", Refusal::NotReady, Unfit::No),
            ("TRYAGAIN Multiple keys request during rehashing of slot", Refusal::NotReady, Unfit::No),
            ("BUSY Redis is busy running a script.", Refusal::NotReady, Unfit::No),
            ("MISCONF Redis is configured to save RDB snapshots", Refusal::WritesStopped, Unfit::No),
            ("NOREPLICAS Not enough good replicas to write.", Refusal::WritesStopped, Unfit::No),
            ("WRONGTYPE Operation against a key", Refusal::WrongType, Unfit::No),
            ("NOAUTH Authentication required.", Refusal::Credentials, Unfit::No),
            ("WRONGPASS invalid username-password pair", Refusal::Credentials, Unfit::No),
            ("NOPERM this user has no permissions", Refusal::Credentials, Unfit::No),
            ("NOSCRIPT No matching script. Please use EVAL.", Refusal::Other, Unfit::No),
            ("ERR unknown command", Refusal::Other, Unfit::No),
            ("CROSSSLOT Keys in request don't hash to the same slot", Refusal::Other, Unfit::No),
            ("MOVED nonsense", Refusal::Other, Unfit::No),
        ] {
            let answer = answer(text);
            assert_eq!(answer.unfit(), unfit, "{text}");
            assert_eq!(answer, Answer::Refused(refusal, text.to_owned()));
        }
    }

    #[test]
    fn a_redirection_names_its_server() {
        let to = |text, address, kind| assert_eq!(answer(text), Answer::Elsewhere(Redirect { to: address, kind }));
        to("MOVED 3999 127.0.0.1:6381", Address::tcp("127.0.0.1", 6381), RedirectKind::Moved);
        to("ASK 3999 ::1:6381", Address::tcp("::1", 6381), RedirectKind::Ask);
        to("MOVED 3999 :6381", Address::tcp("same", 6381), RedirectKind::Moved);
        to("ASK 3999 ?:6381", Address::tcp("same", 6381), RedirectKind::Ask);
        let fault = Fault::from(answer("MOVED 3999 127.0.0.1:6381"));
        assert_eq!(fault.kind(), "not_ready");
    }
}
