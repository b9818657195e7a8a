//! What the second tier could not do. Faults are not errors: a cached function swallows them, counted and logged; only
//! what a person asked for by name returns an [`Error`](crate::Error).

use std::fmt;

/// Why an operation on the second tier did not happen, or may not have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// The server is away and nothing was sent: known for sure, and known at once.
    Away,
    /// No reply came in time: whether it happened is not known.
    Timeout,
    /// The connection broke before the reply: whether it happened is not known.
    Broken(String),
    /// The server refused.
    Refused(Refusal, String),
    /// The reply is not what the command answers.
    Nonsense(String),
}

/// Why a server refuses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// `OOM`: the memory is used up and nothing may be evicted.
    OutOfMemory,
    /// `READONLY`: it is a replica.
    ReadOnly,
    /// `LOADING`, `MASTERDOWN`, `CLUSTERDOWN`, `TRYAGAIN`: not ready yet.
    NotReady,
    /// `MISCONF`, `NOREPLICAS`: writes are stopped.
    WritesStopped,
    /// It happened, and fewer replicas have it than are to.
    TooFewReplicas,
    /// `WRONGTYPE`: something else stands at the key.
    WrongType,
    /// `NOAUTH`, `WRONGPASS`, `NOPERM`.
    Credentials,
    /// Anything else.
    Other,
}

impl Fault {
    /// A short word for metrics and logs.
    pub(crate) fn kind(&self) -> &'static str {
        match self {
            Self::Away => "away",
            Self::Timeout => "timeout",
            Self::Broken(_) => "broken",
            Self::Nonsense(_) => "nonsense",
            Self::Refused(refusal, _) => match refusal {
                Refusal::OutOfMemory => "out_of_memory",
                Refusal::ReadOnly => "read_only",
                Refusal::NotReady => "not_ready",
                Refusal::WritesStopped => "writes_stopped",
                Refusal::TooFewReplicas => "too_few_replicas",
                Refusal::WrongType => "wrong_type",
                Refusal::Credentials => "credentials",
                Refusal::Other => "refused",
            },
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Away => f.write_str("the server is away"),
            Self::Timeout => f.write_str("no reply in time"),
            Self::Broken(reason) => write!(f, "the connection broke: {reason}"),
            Self::Refused(_, answer) => write!(f, "the server refuses: {answer}"),
            Self::Nonsense(reply) => write!(f, "the reply makes no sense: {reply}"),
        }
    }
}
