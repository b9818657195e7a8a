//! The table of scripts. They use the keys that they are given and no others, all of them in one cluster slot.

use std::fmt;
use std::sync::LazyLock;

/// A Lua script, known to the server by its digest.
pub(crate) struct Script {
    pub(crate) name: &'static str,
    pub(crate) code: &'static str,
    compiled: LazyLock<redis::Script, fn() -> redis::Script>,
}

macro_rules! scripts {
    ($($(#[$doc:meta])* $constant:ident = $name:literal;)*) => {
        $($(#[$doc])* pub(crate) static $constant: Script = Script {
            name: $name,
            code: include_str!(concat!("scripts/", $name, ".lua")),
            compiled: LazyLock::new(|| redis::Script::new(include_str!(concat!("scripts/", $name, ".lua")))),
        };)*

        /// All of them, to be loaded when a connection is made.
        pub(crate) static ALL: &[&Script] = &[$(&$constant),*];
    };
}

scripts! {
    /// A lease over what stands in its way.
    STEAL = "steal";
    /// Marks a lease as waited for.
    WATCH = "watch";
    /// Prolongs leases.
    RENEW = "renew";
    /// Ends a lease: fill, release or cool-down.
    FINISH = "finish";
    /// Replaces a value.
    REPLACE = "replace";
    /// The refresh lease of a value.
    REFRESH = "refresh";
    /// Unlinks, then tells the bus.
    INVALIDATE = "invalidate";
    /// Adds routes.
    REGISTER = "register";
    /// Reads the bus and says how far it was read.
    PROBE = "probe";
    /// Who has read how far.
    NODES = "nodes";
    /// Writes something that nobody reads.
    MARK = "mark";
}

/// Name, digest and text of each.
#[cfg(feature = "simulation")]
pub(crate) fn all() -> impl Iterator<Item = (&'static str, &'static str, &'static str)> {
    ALL.iter().map(|script| (script.name, script.digest(), script.code))
}

impl Script {
    /// Its SHA-1, as `EVALSHA` wants it.
    pub(crate) fn digest(&self) -> &str {
        self.compiled.get_hash()
    }
}

impl fmt::Debug for Script {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Script").field(&self.name).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_script_has_a_digest_of_its_own_and_says_what_it_is_for() {
        let mut digests: Vec<_> = ALL.iter().map(|script| script.digest()).collect();
        digests.sort_unstable();
        digests.dedup();
        assert_eq!(digests.len(), ALL.len());
        assert!(digests.iter().all(|digest| digest.len() == 40));
        for script in ALL {
            assert!(script.code.starts_with("-- ") && script.code.contains("-- KEYS: "), "{script:?}");
        }
    }
}
