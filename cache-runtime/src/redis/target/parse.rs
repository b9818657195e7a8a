//! From a URL's text to its target.

use std::path::PathBuf;

use crate::redis::target::{Address, Layout, Login, Target, Trust};

const SCHEMES: &str =
    "`redis`, `rediss`, `unix`, `redis-cluster`, `rediss-cluster`, `redis-sentinel`, `rediss-sentinel`";
const SERVER_PORT: u16 = 6379;
const SENTINEL_PORT: u16 = 26_379;

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Server,
    Socket,
    Cluster,
    Sentinel,
}

/// What stands behind the scheme.
struct Rest<'a> {
    login: Login,
    place: &'a str,
    options: Options,
}

pub(super) fn target(url: &str) -> Result<Target, String> {
    let (scheme, rest) = url.split_once("://").ok_or_else(|| format!("no scheme; it may begin with {SCHEMES}"))?;
    let (kind, is_encrypted) = kind(scheme)?;
    let Rest { login, place, mut options } = Rest::parse(rest)?;
    let (layout, database) = match kind {
        Kind::Server => server(place)?,
        Kind::Socket => socket(place, &mut options)?,
        Kind::Cluster => cluster(place)?,
        Kind::Sentinel => sentinel(place, &mut options)?,
    };
    let trust = is_encrypted.then(|| options.take("ca").map_or(Trust::Public, |path| Trust::File(PathBuf::from(path))));
    options.finish(kind, is_encrypted)?;
    Ok(Target { layout, login, database, trust })
}

fn kind(scheme: &str) -> Result<(Kind, bool), String> {
    match scheme {
        "redis" => Ok((Kind::Server, false)),
        "rediss" => Ok((Kind::Server, true)),
        "unix" => Ok((Kind::Socket, false)),
        "redis-cluster" => Ok((Kind::Cluster, false)),
        "rediss-cluster" => Ok((Kind::Cluster, true)),
        "redis-sentinel" => Ok((Kind::Sentinel, false)),
        "rediss-sentinel" => Ok((Kind::Sentinel, true)),
        _ => Err(format!("an unknown scheme; it may be {SCHEMES}")),
    }
}

impl<'a> Rest<'a> {
    fn parse(rest: &'a str) -> Result<Self, String> {
        let (rest, query) = rest.split_once('?').unwrap_or((rest, ""));
        let (login, place) = match rest.rsplit_once('@') {
            Some((login, place)) => (self::login(login)?, place),
            None => (Login::default(), rest),
        };
        if place.contains('#') || query.contains('#') {
            return Err("nothing may follow a `#`: certificates are always checked".to_owned());
        }
        Ok(Self { login, place, options: Options::parse(query)? })
    }
}

fn login(text: &str) -> Result<Login, String> {
    let (user, password) = text.split_once(':').unwrap_or((text, ""));
    if password.is_empty() {
        return Err("a user without a password; write `user:password@`, or `:password@` without a user".to_owned());
    }
    let decoded = |text| decoded(text).ok_or("user and password are percent-encoded: a `%` in them is written `%25`");
    Ok(Login { user: Some(decoded(user)?).filter(|user| !user.is_empty()), password: Some(decoded(password)?) })
}

fn server(place: &str) -> Result<(Layout, i64), String> {
    let (hosts, path) = place.split_once('/').unwrap_or((place, ""));
    let mut hosts = addresses(hosts, SERVER_PORT)?;
    if hosts.len() > 1 {
        return Err("one server has one host; for several write `redis-cluster://` or `redis-sentinel://`".to_owned());
    }
    Ok((Layout::Single(hosts.remove(0)), database(path)?))
}

fn socket(place: &str, options: &mut Options) -> Result<(Layout, i64), String> {
    if !cfg!(unix) {
        return Err("this system has no unix sockets".to_owned());
    }
    if !place.starts_with('/') || place.len() == 1 {
        return Err("the socket's whole path stands behind `unix://`, as in `unix:///run/redis.sock`".to_owned());
    }
    let path = decoded(place).ok_or("the path is percent-encoded: a `%` in it is written `%25`")?;
    let database = database(&options.take("db").unwrap_or_default())?;
    Ok((Layout::Single(Address::Unix(PathBuf::from(path))), database))
}

fn cluster(place: &str) -> Result<(Layout, i64), String> {
    let (hosts, path) = place.split_once('/').unwrap_or((place, ""));
    if !matches!(path, "" | "0") {
        return Err("a cluster has no databases: nothing stands behind its hosts".to_owned());
    }
    Ok((Layout::Cluster(addresses(hosts, SERVER_PORT)?), 0))
}

fn sentinel(place: &str, options: &mut Options) -> Result<(Layout, i64), String> {
    let (hosts, path) = place.split_once('/').unwrap_or((place, ""));
    let (service, path) = path.split_once('/').unwrap_or((path, ""));
    let service = decoded(service).ok_or("the service is percent-encoded: a `%` in it is written `%25`")?;
    if service.is_empty() {
        return Err(
            "no service; it stands behind the sentinels, as in `redis-sentinel://host1,host2/service`".to_owned()
        );
    }
    let login = Login { user: options.take("sentinel_user"), password: options.take("sentinel_password") };
    if login.user.is_some() && login.password.is_none() {
        return Err("`sentinel_user` without `sentinel_password`".to_owned());
    }
    let sentinels = addresses(hosts, SENTINEL_PORT)?;
    Ok((Layout::Sentinel { sentinels, service, login }, database(path)?))
}

fn database(text: &str) -> Result<i64, String> {
    match text {
        "" => Ok(0),
        text => text
            .parse::<u32>()
            .map(i64::from)
            .map_err(|_| "the database is no number, as in `redis://host/2`".to_owned()),
    }
}

fn addresses(hosts: &str, port: u16) -> Result<Vec<Address>, String> {
    hosts.split(',').map(|host| address(host, port)).collect()
}

fn address(text: &str, default_port: u16) -> Result<Address, String> {
    let (host, port) = match text.strip_prefix('[') {
        Some(rest) => {
            let (host, port) = rest.split_once(']').ok_or("a `[` of an IPv6 address without its `]`")?;
            (host, if port.is_empty() { None } else { Some(port.strip_prefix(':').unwrap_or("?")) })
        }
        None => text.split_once(':').map_or((text, None), |(host, port)| (host, Some(port))),
    };
    if host.is_empty() {
        return Err("a host is missing".to_owned());
    }
    if host.contains(|letter: char| letter.is_whitespace() || letter.is_control()) {
        return Err("a host's name with a blank in it".to_owned());
    }
    let port = match port {
        None => default_port,
        Some(port) if port.contains(':') => {
            return Err("an IPv6 address stands in brackets, as in `[::1]:6379`".to_owned());
        }
        Some(port) => port.parse().ok().filter(|port| *port > 0).ok_or("a port is a number from 1 to 65535")?,
    };
    Ok(Address::tcp(host, port))
}

/// What stands behind the `?`, until somebody takes it.
struct Options(Vec<(String, String)>);

impl Options {
    fn parse(query: &str) -> Result<Self, String> {
        let mut options: Vec<(String, String)> = Vec::new();
        for option in query.split('&').filter(|option| !option.is_empty()) {
            let (name, value) = option.split_once('=').ok_or("an option without a value; write `name=value`")?;
            let value = decoded(value).ok_or("an option's value is percent-encoded: a `%` in it is written `%25`")?;
            if value.is_empty() {
                return Err("an option without a value; write `name=value`".to_owned());
            }
            if options.iter().any(|(other, _)| other == name) {
                return Err("an option stands there twice".to_owned());
            }
            options.push((name.to_owned(), value));
        }
        Ok(Self(options))
    }

    fn take(&mut self, name: &str) -> Option<String> {
        let at = self.0.iter().position(|(other, _)| other == name)?;
        Some(self.0.swap_remove(at).1)
    }

    fn finish(&self, kind: Kind, is_encrypted: bool) -> Result<(), String> {
        if self.0.is_empty() {
            return Ok(());
        }
        let mut allowed = Vec::new();
        if is_encrypted {
            allowed.push("`ca`");
        }
        match kind {
            Kind::Socket => allowed.push("`db`"),
            Kind::Sentinel => allowed.extend(["`sentinel_user`", "`sentinel_password`"]),
            Kind::Server | Kind::Cluster => {}
        }
        if allowed.is_empty() {
            return Err("an option that means nothing here; there are none without TLS".to_owned());
        }
        Err(format!("an option that means nothing here; there are {}", allowed.join(", ")))
    }
}

/// Without percent-encoding; nothing if that is broken.
fn decoded(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        bytes.push(match byte {
            b'%' => {
                let digits = [rest.next()?, rest.next()?].map(|digit| char::from(digit).to_digit(16));
                u8::try_from(digits[0]? * 16 + digits[1]?).expect("two hexadecimal digits")
            }
            byte => byte,
        });
    }
    String::from_utf8(bytes).ok()
}

#[cfg(test)]
mod tests;
