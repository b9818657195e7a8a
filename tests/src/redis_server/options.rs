//! What a test's server is like.

use std::fmt::Write as _;
use std::path::Path;
use std::sync::Arc;

use super::RedisServer;
use crate::certificates::Certificates;

/// What a server is to be like; made by [`RedisServer::options`].
#[derive(Clone, Debug, Default)]
pub struct RedisOptions {
    pub(super) kind: Kind,
    pub(super) lines: Vec<(String, String)>,
    pub(super) password: Option<String>,
    pub(super) user: Option<(String, String)>,
    pub(super) tls: Option<Arc<Certificates>>,
    pub(super) unix_socket: bool,
}

/// Which of the three programs in one `redis-server` is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Kind {
    /// Keeps data.
    #[default]
    Store,
    /// Keeps some of a cluster's slots.
    ClusterNode,
    /// Watches over stores.
    Sentinel,
}

impl RedisOptions {
    /// A node of a cluster that it has not met yet.
    #[must_use]
    pub fn cluster_node() -> Self {
        Self { kind: Kind::ClusterNode, ..Self::default() }
    }

    #[cfg(feature = "harness")]
    pub(crate) fn sentinel() -> Self {
        Self { kind: Kind::Sentinel, ..Self::default() }
    }

    /// One more line of `redis.conf`; the value is taken as it is, quotes and all.
    #[must_use]
    pub fn config(mut self, name: &str, value: &str) -> Self {
        self.lines.push((name.to_owned(), value.to_owned()));
        self
    }

    /// A password for everybody (`requirepass`).
    #[must_use]
    pub fn password(mut self, password: &str) -> Self {
        self.password = Some(password.to_owned());
        self
    }

    /// A user of its own, with rules as in `~* &* +@all`; [`RedisServer::url`] names this user.
    #[must_use]
    pub fn user(mut self, name: &str, password: &str, rules: &str) -> Self {
        self.user = Some((name.to_owned(), password.to_owned()));
        self.config("user", &format!("{name} on >{password} {rules}"))
    }

    /// Also listens with TLS, under a certificate of [`RedisServer::authority`]; [`RedisServer::url`] is a `rediss://`.
    #[must_use]
    pub fn tls(self) -> Self {
        self.tls_under(&Arc::new(Certificates::create()))
    }

    /// The same, under an authority that it shares with others: it talks to these by TLS too.
    #[must_use]
    pub fn tls_under(mut self, certificates: &Arc<Certificates>) -> Self {
        self.tls = Some(Arc::clone(certificates));
        self
    }

    /// Also listens on a unix socket; [`RedisServer::url`] is a `unix://`.
    #[must_use]
    pub fn unix_socket(mut self) -> Self {
        self.unix_socket = true;
        self
    }

    /// A limit of memory, and what happens at it: `noeviction`, `allkeys-lru`, ..
    #[must_use]
    pub fn memory(self, limit: &str, policy: &str) -> Self {
        self.config("maxmemory", limit).config("maxmemory-policy", policy)
    }

    /// Starts a server like this.
    ///
    /// # Panics
    ///
    /// If there is no `redis-server`, or it does not accept the options; the message has its log.
    #[must_use]
    pub fn start(self) -> RedisServer {
        RedisServer::start_with(self)
    }

    /// The text of `redis.conf`. What the test gave comes last and wins.
    pub(super) fn file(&self, ports: &Ports, folder: &Path) -> String {
        let mut lines = vec![
            ("bind".to_owned(), "127.0.0.1".to_owned()),
            ("port".to_owned(), ports.plain.to_string()),
            ("dir".to_owned(), folder.display().to_string()),
        ];
        if self.kind != Kind::Sentinel {
            lines.extend(store_lines());
        }
        if self.unix_socket {
            lines.push(("unixsocket".to_owned(), folder.join(SOCKET).display().to_string()));
        }
        if self.kind == Kind::ClusterNode {
            lines.push(("cluster-enabled".to_owned(), "yes".to_owned()));
            lines.push(("cluster-port".to_owned(), ports.bus.to_string()));
        }
        if let Some(password) = &self.password {
            lines.push(("requirepass".to_owned(), password.clone()));
        }
        if let Some(certificates) = &self.tls {
            lines.extend(tls_lines(ports.tls, certificates));
        }
        if self.tls.is_some() && self.kind == Kind::ClusterNode {
            // Clients that come by TLS are told the ports of TLS then.
            lines.push(("tls-cluster".to_owned(), "yes".to_owned()));
        }
        let mut file = String::new();
        for (name, value) in lines.iter().chain(&self.lines) {
            writeln!(file, "{name} {value}").expect("a String takes any text");
        }
        file
    }
}

/// The port for everybody, the one for TLS, and the one for the other nodes of the cluster.
pub(super) struct Ports {
    pub(super) plain: u16,
    pub(super) tls: u16,
    pub(super) bus: u16,
}

/// The socket within the server's folder.
pub(super) const SOCKET: &str = "socket";

fn store_lines() -> [(String, String); 3] {
    // Nothing is written unless a test asks for it; replicas are synchronised at once; DEBUG is there for tests.
    [("save", "\"\""), ("repl-diskless-sync-delay", "0"), ("enable-debug-command", "local")]
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
}

fn tls_lines(port: u16, files: &Certificates) -> [(String, String); 6] {
    let path = |path: &Path| path.display().to_string();
    [
        ("tls-port", port.to_string()),
        ("tls-ca-cert-file", path(&files.authority)),
        ("tls-cert-file", path(&files.certificate)),
        ("tls-key-file", path(&files.key)),
        ("tls-auth-clients", "no".to_owned()),
        ("tls-replication", "yes".to_owned()),
    ]
    .map(|(name, value)| (name.to_owned(), value))
}
