//! Which servers a URL names, and how to enter them.
//!
//! | URL | servers |
//! |---|---|
//! | `redis://[user:password@]host[:port][/db]` | one server |
//! | `unix://[user:password@]/path/to/socket[?db=n]` | one server on this machine |
//! | `redis-cluster://host1[:port],host2[:port]` | a cluster, of which some nodes are named |
//! | `redis-sentinel://host1[:port],host2[:port]/service[/db]` | the primary that these sentinels name |
//!
//! `rediss`, `rediss-cluster` and `rediss-sentinel` are the same over TLS, with `?ca=/path/to/ca.pem` for an authority of
//! one's own. Sentinels that want credentials too: `?sentinel_user=..&sentinel_password=..`. User, password and the values
//! of options are percent-encoded. No message of this module quotes what it was given: a password may be anywhere in it.

mod parse;

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

/// The servers behind one URL.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Target {
    pub(crate) layout: Layout,
    pub(crate) login: Login,
    pub(crate) database: i64,
    /// Whom to trust over TLS; without it nothing is encrypted.
    pub(crate) trust: Option<Trust>,
}

/// How servers share the keys, and who knows where they are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Layout {
    Single(Address),
    /// Some of the cluster's nodes.
    Cluster(Vec<Address>),
    Sentinel {
        sentinels: Vec<Address>,
        service: String,
        login: Login,
    },
}

/// Where a server listens.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Address {
    Tcp { host: String, port: u16 },
    Unix(PathBuf),
}

/// Whose certificates count.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Trust {
    /// The authorities that Mozilla trusts.
    Public,
    /// Those in this file of PEM, and no others.
    File(PathBuf),
}

/// Credentials.
#[derive(Clone, Default, PartialEq, Eq)]
pub(crate) struct Login {
    pub(crate) user: Option<String>,
    pub(crate) password: Option<String>,
}

impl FromStr for Target {
    /// What is wrong, without a word of what was given.
    type Err = String;

    fn from_str(url: &str) -> Result<Self, String> {
        parse::target(url)
    }
}

/// Where the servers are, without credentials.
impl fmt::Display for Layout {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let addresses = match self {
            Self::Single(address) => std::slice::from_ref(address),
            Self::Cluster(addresses) | Self::Sentinel { sentinels: addresses, .. } => addresses,
        };
        let addresses: Vec<_> = addresses.iter().map(Address::to_string).collect();
        f.write_str(&addresses.join(", "))?;
        match self {
            Self::Sentinel { service, .. } => write!(f, ", service `{service}`"),
            Self::Single(_) | Self::Cluster(_) => Ok(()),
        }
    }
}

impl Address {
    pub(crate) fn tcp(host: &str, port: u16) -> Self {
        Self::Tcp { host: host.to_owned(), port }
    }

    /// `host:port` as servers write it: what is behind the last colon is the port.
    pub(crate) fn told(text: &str) -> Option<Self> {
        let (host, port) = text.rsplit_once(':')?;
        Some(Self::tcp(host, port.parse().ok()?))
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp { host, port } if host.contains(':') => write!(f, "[{host}]:{port}"),
            Self::Tcp { host, port } => write!(f, "{host}:{port}"),
            Self::Unix(path) => write!(f, "{}", path.display()),
        }
    }
}

impl fmt::Debug for Login {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let password = self.password.as_ref().map(|_| "..");
        f.debug_struct("Login").field("user", &self.user).field("password", &password).finish()
    }
}
