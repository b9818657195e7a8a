//! What a person asked for and did not get.

use std::fmt;

/// Why something that was asked of the cache did not happen.
///
/// Cached functions never return it: there, a fault of the cache costs time, not an answer.
#[derive(Debug)]
#[non_exhaustive]
pub enum Error {
    /// The application's name is not usable in keys.
    Name(cache_spec::Mistake),
    /// A setting, from the builder or the environment, with what was found there.
    Setting {
        /// The setting's name, e.g. `CACHE_L1_BYTES`.
        name: &'static str,
        /// What is wrong, what is allowed.
        problem: String,
    },
    /// Two cached functions of different output can render the same key.
    Overlap(Box<Overlap>),
    /// Two event types share one name.
    EventName {
        /// The name.
        name: &'static str,
        /// Where the one type is declared.
        first: String,
        /// Where the other is.
        second: String,
    },
    /// A default cache was installed before.
    Installed,
    /// The event could not be serialised for its subscribers.
    Event(serde_json::Error),
    /// The servers of the second tier refuse this process, or are not there although they are required.
    Redis {
        /// What they said.
        problem: String,
    },
    /// The invalidation took effect, but not every process has confirmed in time that it knows of it.
    NotEverywhere {
        /// How many processes may still serve an older value, until their right to do so ends by itself.
        waiting: usize,
    },
}

/// Two functions whose templates can render the same key although their outputs differ.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Overlap {
    /// One of them: name, template and place.
    pub first: String,
    /// The other.
    pub second: String,
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Name(mistake) => write!(f, "the application's name: {mistake}"),
            Self::Setting { name, problem } => write!(f, "`{name}`: {problem}"),
            Self::Overlap(overlap) => write!(
                f,
                "{} and {} can render the same key but keep different types; change one template or its `version`",
                overlap.first, overlap.second
            ),
            Self::EventName { name, first, second } => write!(
                f,
                "two event types are named `{name}`: {first} and {second}; give one another name with `#[event(name = \"..\")]`"
            ),
            Self::Installed => f.write_str(
                "a default cache is installed already; use `cache.scope(..)` to override it for one task tree",
            ),
            Self::Event(error) => write!(f, "the event cannot be serialised: {error}"),
            Self::Redis { problem } => write!(f, "redis: {problem}"),
            Self::NotEverywhere { waiting } => {
                write!(f, "the invalidation took effect, but {waiting} processes have not confirmed it in time")
            }
        }
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Name(mistake) => Some(mistake),
            Self::Event(error) => Some(error),
            Self::Setting { .. }
            | Self::Overlap(_)
            | Self::EventName { .. }
            | Self::Installed
            | Self::Redis { .. }
            | Self::NotEverywhere { .. } => None,
        }
    }
}
