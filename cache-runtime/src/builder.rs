//! How a cache is set up.

use std::sync::Arc;
use std::time::Duration;

use cache_spec::{duration, name};

use crate::cache::Cache;
use crate::clock::{Clock, Time};
use crate::current::{DEFAULT_L1_BYTES, DEFAULT_LOAD_TIMEOUT, HASH_CONTEXT};
use crate::error::Error;
use crate::node::Settings;
use crate::registry;
use crate::rules::Rules;

/// Settings of a cache to be; made by [`Cache::builder`].
#[derive(Debug)]
#[must_use = "a builder builds nothing until `.build().await`"]
pub struct Builder {
    app: String,
    l1_capacity: u64,
    load_timeout: Duration,
    hash_key: Option<Vec<u8>>,
    clock: Option<Arc<dyn Clock>>,
    seed: Option<u64>,
    rules: Rules,
}

impl Builder {
    pub(crate) fn new(app: String) -> Self {
        Self {
            app,
            l1_capacity: DEFAULT_L1_BYTES,
            load_timeout: DEFAULT_LOAD_TIMEOUT,
            hash_key: None,
            clock: None,
            seed: None,
            rules: Rules::ALL,
        }
    }

    /// Settings from variables; `read` is the environment.
    pub(crate) fn from_env(read: impl Fn(&str) -> Option<String>) -> Result<Self, Error> {
        if read("CACHE_URL").is_some_and(|url| !url.is_empty()) {
            let problem = "this version has no second tier; unset it to run embedded".to_owned();
            return Err(Error::Setting { name: "CACHE_URL", problem });
        }
        let mut builder = Self::new(read("CACHE_APP").unwrap_or_else(|| "app".to_owned()));
        if let Some(bytes) = read("CACHE_L1_BYTES") {
            builder.l1_capacity = parse_bytes(&bytes)?;
        }
        if let Some(text) = read("CACHE_LOAD_TIMEOUT") {
            let problem = |mistake: cache_spec::Mistake| mistake.to_string();
            let parsed = duration::parse(&text).map_err(problem);
            builder.load_timeout = parsed.map_err(|problem| Error::Setting { name: "CACHE_LOAD_TIMEOUT", problem })?;
        }
        if let Some(secret) = read("CACHE_HASH_KEY") {
            builder = builder.hash_key(secret.as_bytes());
        }
        Ok(builder)
    }

    /// The most bytes that the in-process tier may hold, by estimate. 64 MiB unless set.
    pub fn l1_capacity(mut self, bytes: u64) -> Self {
        self.l1_capacity = bytes;
        self
    }

    /// How long a load may hold its key, where the function's attribute has no `load_timeout`: then the next caller
    /// loads again and the late result is not kept. 30 s unless set.
    pub fn load_timeout(mut self, timeout: Duration) -> Self {
        self.load_timeout = timeout;
        self
    }

    /// The secret under which `<arg:hash>` parts are hashed. Without it, whoever knows the application's name can check
    /// guesses of such a value against its key.
    pub fn hash_key(mut self, secret: &[u8]) -> Self {
        self.hash_key = Some(secret.to_vec());
        self
    }

    /// Another clock: lifetimes and load timeouts are measured on it.
    pub fn clock(mut self, clock: impl Clock + 'static) -> Self {
        self.clock = Some(Arc::new(clock));
        self
    }

    /// A seed for jitter, so that lifetimes repeat.
    pub fn seed(mut self, seed: u64) -> Self {
        self.seed = Some(seed);
        self
    }

    /// Takes one rule of the coherence protocol away, to see that a test notices. Never for production.
    #[cfg(feature = "mutants")]
    pub fn without_rule(mut self, rule: crate::rules::Rule) -> Self {
        self.rules = self.rules.without(rule);
        self
    }

    /// Builds the cache. Embedded, nothing is waited for.
    ///
    /// # Errors
    ///
    /// [`Error::Name`] for a name that cannot stand in keys, [`Error::Overlap`] and [`Error::EventName`] for cached
    /// functions and events of the program that contradict each other.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future leaves nothing behind.
    #[expect(clippy::unused_async, reason = "a second tier is connected to here")]
    pub async fn build(self) -> Result<Cache, Error> {
        name::check_app(&self.app).map_err(Error::Name)?;
        registry::check()?;
        let secret = self.hash_key.as_deref().unwrap_or(self.app.as_bytes());
        Ok(Cache::new(Settings {
            hash_key: blake3::derive_key(HASH_CONTEXT, secret),
            app: self.app,
            l1_capacity: self.l1_capacity,
            time: self.clock.map_or_else(Time::system, Time::Given),
            seed: self.seed,
            load_timeout: self.load_timeout,
            rules: self.rules,
        }))
    }
}

fn parse_bytes(text: &str) -> Result<u64, Error> {
    let problem = || format!("`{text}` is no number of bytes; write digits only, as in `67108864`");
    text.trim().parse().map_err(|_| Error::Setting { name: "CACHE_L1_BYTES", problem: problem() })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn from(variables: &[(&str, &str)]) -> Result<Builder, Error> {
        let find = |name: &str| variables.iter().find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned());
        Builder::from_env(find)
    }

    #[track_caller]
    fn check(variables: &[(&str, &str)], message: &str) {
        let error = from(variables).expect_err("a mistake is an error");
        assert!(error.to_string().contains(message), "{error}");
    }

    #[test]
    fn variables_are_read() {
        let builder = from(&[("CACHE_APP", "shop"), ("CACHE_L1_BYTES", "1024"), ("CACHE_LOAD_TIMEOUT", "2s")]);
        let builder = builder.expect("all are well formed");
        assert_eq!((builder.app.as_str(), builder.l1_capacity), ("shop", 1024));
        assert_eq!(builder.load_timeout, Duration::from_secs(2));
    }

    #[test]
    fn mistakes_name_the_variable() {
        check(&[("CACHE_L1_BYTES", "64MB")], "`CACHE_L1_BYTES`: `64MB` is no number of bytes");
        check(&[("CACHE_LOAD_TIMEOUT", "soon")], "`CACHE_LOAD_TIMEOUT`");
        check(&[("CACHE_URL", "redis://localhost")], "`CACHE_URL`: this version has no second tier");
    }
}
