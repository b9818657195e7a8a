//! Where the servers are: what a URL says, and how one of them is dialled.

use std::fmt;
use std::path::PathBuf;

use redis::aio::MultiplexedConnection;
use redis::{
    AsyncConnectionConfig, Client, ConnectionAddr, ConnectionInfo, IntoConnectionInfo, ProtocolVersion,
    RedisConnectionInfo, RedisResult, TlsCertificates,
};

use crate::error::Error;

/// The port of a URL without one.
const PORT: u16 = 6_379;
/// The port of a sentinel without one.
const SENTINEL_PORT: u16 = 26_379;

/// The servers of one URL.
#[derive(Clone)]
pub(crate) struct Target {
    pub(crate) kind: Kind,
    /// The server, the sentinels, or some nodes of the cluster.
    pub(crate) seeds: Vec<Address>,
    tls: Option<Tls>,
    user: Option<String>,
    password: Option<String>,
    database: i64,
}

/// How many servers there are, and how they are found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Single,
    /// The primary that sentinels name for this service.
    Sentinel(String),
    Cluster,
}

/// One server's address.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum Address {
    Tcp(String, u16),
    Unix(PathBuf),
}

#[derive(Clone)]
struct Tls {
    /// Certificates of a certificate authority of one's own, in PEM.
    authority: Option<Vec<u8>>,
}

impl fmt::Debug for Target {
    /// Without credentials.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Target").field("kind", &self.kind).field("seeds", &self.seeds).finish_non_exhaustive()
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(host, port) if host.contains(':') => write!(f, "[{host}]:{port}"),
            Self::Tcp(host, port) => write!(f, "{host}:{port}"),
            Self::Unix(path) => write!(f, "{}", path.display()),
        }
    }
}

/// What a scheme stands for: the kind of servers, and whether they speak TLS.
const SCHEMES: &[(&str, fn() -> Kind, bool)] = &[
    ("redis", || Kind::Single, false),
    ("rediss", || Kind::Single, true),
    ("unix", || Kind::Single, false),
    ("redis-cluster", || Kind::Cluster, false),
    ("rediss-cluster", || Kind::Cluster, true),
    ("redis-sentinel", || Kind::Sentinel(String::new()), false),
    ("rediss-sentinel", || Kind::Sentinel(String::new()), true),
];

impl Target {
    /// What this URL says.
    pub(crate) fn parse(url: &str) -> Result<Self, Error> {
        parse(url).map_err(|problem| Error::Setting { name: "redis", problem })
    }

    /// A connection to one of the servers, with its credentials; not to a sentinel.
    pub(crate) async fn dial(
        &self,
        address: &Address,
        config: &AsyncConnectionConfig,
    ) -> RedisResult<MultiplexedConnection> {
        let mut settings = RedisConnectionInfo::default().set_protocol(ProtocolVersion::RESP3).set_db(self.database);
        if let Some(user) = &self.user {
            settings = settings.set_username(user);
        }
        if let Some(password) = &self.password {
            settings = settings.set_password(password);
        }
        self.connect(address, settings, config).await
    }

    /// A connection to a sentinel: they have credentials of their own, if any, and none are given to them.
    pub(crate) async fn dial_sentinel(
        &self,
        address: &Address,
        config: &AsyncConnectionConfig,
    ) -> RedisResult<MultiplexedConnection> {
        self.connect(address, RedisConnectionInfo::default().set_protocol(ProtocolVersion::RESP3), config).await
    }

    async fn connect(
        &self,
        address: &Address,
        settings: RedisConnectionInfo,
        config: &AsyncConnectionConfig,
    ) -> RedisResult<MultiplexedConnection> {
        let client = self.client(address, settings)?;
        client.get_multiplexed_async_connection_with_config(config).await
    }

    fn client(&self, address: &Address, settings: RedisConnectionInfo) -> RedisResult<Client> {
        let place = match address {
            Address::Unix(path) => ConnectionAddr::Unix(path.clone()),
            Address::Tcp(host, port) => match &self.tls {
                None => ConnectionAddr::Tcp(host.clone(), *port),
                Some(_) => {
                    ConnectionAddr::TcpTls { host: host.clone(), port: *port, insecure: false, tls_params: None }
                }
            },
        };
        let tcp = redis::io::tcp::TcpSettings::default().set_nodelay(true);
        let info: ConnectionInfo = place.into_connection_info()?.set_redis_settings(settings).set_tcp_settings(tcp);
        match self.tls.as_ref().and_then(|tls| tls.authority.clone()) {
            Some(authority) => {
                Client::build_with_tls(info, TlsCertificates { client_tls: None, root_cert: Some(authority) })
            }
            None => Client::open(info),
        }
    }
}

fn parse(url: &str) -> Result<Target, String> {
    let (scheme, rest) = url.split_once("://").ok_or("a url begins with a scheme, as in `redis://localhost`")?;
    let Some((_, kind, is_encrypted)) = SCHEMES.iter().find(|(name, ..)| *name == scheme) else {
        let names: Vec<_> = SCHEMES.iter().map(|(name, ..)| format!("`{name}://`")).collect();
        return Err(format!("`{scheme}://` is no scheme of this cache; there are {}", names.join(", ")));
    };
    let (rest, query) = rest.split_once('?').unwrap_or((rest, ""));
    let tls = tls(query, *is_encrypted)?;
    if scheme == "unix" {
        return unix(rest);
    }
    // The last one: a password may hold an `@` that nobody has encoded.
    let (credentials, rest) = rest.rsplit_once('@').map_or((None, rest), |(before, after)| (Some(before), after));
    let (hosts, path) = rest.split_once('/').unwrap_or((rest, ""));
    let (user, password) = credentials.map_or(Ok((None, None)), user_and_password)?;
    let (kind, database) = kind_and_database(kind(), path)?;
    let default_port = if matches!(kind, Kind::Sentinel(_)) { SENTINEL_PORT } else { PORT };
    let seeds: Vec<_> = hosts.split(',').map(|host| address(host, default_port)).collect::<Result<_, _>>()?;
    if kind == Kind::Single && seeds.len() > 1 {
        return Err("one server has one host; for several write `redis-cluster://` or `redis-sentinel://`".to_owned());
    }
    Ok(Target { kind, seeds, tls, user, password, database })
}

fn unix(path: &str) -> Result<Target, String> {
    if path.is_empty() {
        return Err("`unix://` takes the path of a socket, as in `unix:///run/redis.sock`".to_owned());
    }
    let seeds = vec![Address::Unix(path.into())];
    Ok(Target { kind: Kind::Single, seeds, tls: None, user: None, password: None, database: 0 })
}

fn tls(query: &str, is_encrypted: bool) -> Result<Option<Tls>, String> {
    let mut authority = None;
    for pair in query.split('&').filter(|pair| !pair.is_empty()) {
        match pair.split_once('=') {
            Some(("ca", path)) if is_encrypted => {
                let read = std::fs::read(path).map_err(|error| format!("`ca={path}` cannot be read: {error}"))?;
                authority = Some(read);
            }
            Some(("ca", _)) => return Err("`ca=..` is for `rediss://`".to_owned()),
            _ => return Err(format!("`{pair}` is no option; there is `ca=/path/to/ca.pem`")),
        }
    }
    Ok(is_encrypted.then_some(Tls { authority }))
}

type Credentials = (Option<String>, Option<String>);

fn user_and_password(text: &str) -> Result<Credentials, String> {
    let (user, password) = text.split_once(':').unwrap_or((text, ""));
    let decode = |part: &str| if part.is_empty() { Ok(None) } else { decoded(part).map(Some) };
    Ok((decode(user)?, decode(password)?))
}

/// Percent-decoding (RFC 3986, section 2.1).
fn decoded(text: &str) -> Result<String, String> {
    const MESSAGE: &str = "the credentials hold a `%` that no two hexadecimal digits follow; write `%25` for `%`";
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&first, after)) = rest.split_first() {
        let (byte, after) = match (first, after) {
            (b'%', [high, low, after @ ..]) => {
                let digits = [*high, *low];
                let digits = std::str::from_utf8(&digits).map_err(|_| MESSAGE)?;
                (u8::from_str_radix(digits, 16).map_err(|_| MESSAGE)?, after)
            }
            (b'%', _) => return Err(MESSAGE.to_owned()),
            (byte, after) => (byte, after),
        };
        bytes.push(byte);
        rest = after;
    }
    String::from_utf8(bytes).map_err(|_| "the credentials are not UTF-8".to_owned())
}

/// The path behind the hosts: a database; behind sentinels a service, then a database.
fn kind_and_database(kind: Kind, path: &str) -> Result<(Kind, i64), String> {
    let (kind, database) = match kind {
        Kind::Sentinel(_) => {
            let (service, database) = path.split_once('/').unwrap_or((path, ""));
            if service.is_empty() {
                let message = "sentinels need the name of a service, as in `redis-sentinel://host1,host2/mymaster`";
                return Err(message.to_owned());
            }
            (Kind::Sentinel(service.to_owned()), database)
        }
        other => (other, path),
    };
    match database {
        "" | "0" => Ok((kind, 0)),
        _ if kind == Kind::Cluster => Err("a cluster has no databases besides 0".to_owned()),
        text => match text.parse() {
            Ok(database @ 0..=65_535) => Ok((kind, database)),
            _ => Err(format!("`/{text}` is no number of a database")),
        },
    }
}

fn address(text: &str, default_port: u16) -> Result<Address, String> {
    let problem = || format!("`{text}` is no host; write `host:port`, or `[::1]:6379`");
    let (host, port) = match text.strip_prefix('[').map(|rest| rest.split_once(']').ok_or_else(problem)) {
        Some(bracketed) => {
            let (host, rest) = bracketed?;
            (host, if rest.is_empty() { None } else { Some(rest.strip_prefix(':').ok_or_else(problem)?) })
        }
        None => text.split_once(':').map_or((text, None), |(host, port)| (host, Some(port))),
    };
    if host.is_empty() {
        return Err(problem());
    }
    let port = port.map_or(Ok(default_port), |port| port.parse().map_err(|_| problem()))?;
    Ok(Address::Tcp(host.to_owned(), port))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tcp(host: &str, port: u16) -> Address {
        Address::Tcp(host.to_owned(), port)
    }

    #[test]
    fn every_form_is_read() {
        let target = |url| Target::parse(url).expect("well formed");
        let single = target("redis://us%40er:p@ss%3A@localhost:7000/3");
        assert_eq!((single.kind, single.seeds), (Kind::Single, vec![tcp("localhost", 7000)]));
        assert_eq!((single.user.as_deref(), single.password.as_deref()), (Some("us@er"), Some("p@ss:")));
        assert_eq!(single.database, 3);
        assert_eq!(target("redis://[::1]").seeds, [tcp("::1", PORT)]);
        assert!(target("rediss://host").tls.is_some());
        assert_eq!(target("unix:///run/redis.sock").seeds, [Address::Unix("/run/redis.sock".into())]);
        let cluster = target("redis-cluster://:secret@a:1,b:2,c");
        assert_eq!((cluster.kind, cluster.seeds), (Kind::Cluster, vec![tcp("a", 1), tcp("b", 2), tcp("c", PORT)]));
        let sentinel = target("redis-sentinel://a,b:5/mymaster/2");
        assert_eq!(sentinel.kind, Kind::Sentinel("mymaster".to_owned()));
        assert_eq!((sentinel.seeds, sentinel.database), (vec![tcp("a", SENTINEL_PORT), tcp("b", 5)], 2));
    }

    #[track_caller]
    fn check(url: &str, message: &str) {
        let error = Target::parse(url).expect_err("a mistake is an error").to_string();
        assert!(error.contains(message), "{error}");
        assert!(!error.contains("secret"), "{error}");
    }

    #[test]
    fn mistakes_say_what_is_allowed_and_no_password() {
        check("localhost:6379", "begins with a scheme");
        check("http://:secret@localhost", "`http://` is no scheme of this cache; there are `redis://`");
        check("redis://:secret@", "`` is no host");
        check("redis://:secret@host:port", "`host:port` is no host");
        check("redis://:secret@a,b", "one server has one host");
        check("redis://:secret@a/first", "`/first` is no number of a database");
        check("redis-cluster://:secret@a/1", "no databases besides 0");
        check("redis-sentinel://:secret@a", "need the name of a service");
        check("redis://:secret%2@a", "no two hexadecimal digits");
        check("redis://a?ca=/x", "`ca=..` is for `rediss://`");
        check("rediss://a?insecure=1", "`insecure=1` is no option");
        check("rediss://a?ca=/does/not/exist", "cannot be read");
        check("unix://", "takes the path of a socket");
        check("redis://[::1", "`[::1` is no host");
    }

    #[test]
    fn credentials_are_not_shown() {
        let target = Target::parse("redis://user:secret@host").expect("well formed");
        assert!(!format!("{target:?}").contains("secret"));
    }
}
