//! A `redis-server` of the run's own, and what it says of itself.

use std::collections::{BTreeMap, BTreeSet};
use std::net::TcpListener;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use redis::{Connection, FromRedisValue};
use tempfile::TempDir;

/// How long the server may take to come up.
const PATIENCE: Duration = Duration::from_secs(10);

/// Keeps the server for as long as its input is open: the end of the bench ends it too, whatever the bench died of. The
/// variable names another one than the `redis-server` of the PATH.
const KEEPER: &str = r#""${CACHE_TESTS_REDIS_SERVER:-redis-server}" "$@" & server=$!; read -r _; kill "$server"; wait"#;

/// A server that keeps everything in memory.
pub struct Server {
    url: String,
    connection: Mutex<Connection>,
    /// Nothing for a server of the parent's.
    _process: Option<Process>,
}

/// What a server has done since it was started.
#[derive(Clone, Copy, Debug)]
pub struct Work {
    /// Commands that it was sent, without those inside of scripts.
    pub commands: u64,
    /// Reads of keys that found one.
    pub found: u64,
}

/// Ends when this is dropped.
struct Process {
    keeper: Child,
    input: Option<ChildStdin>,
    _folder: TempDir,
}

impl Server {
    /// Starts one on a port of its own.
    pub fn start() -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder can be made");
        let port = free_port();
        let mut command = Command::new("sh");
        command.args(["-c", KEEPER, "keeper", "--port", &port.to_string(), "--bind", "127.0.0.1"]);
        command.args(["--save", "", "--appendonly", "no", "--dir"]).arg(folder.path());
        command.stdin(Stdio::piped()).stdout(Stdio::null());
        let mut keeper = command.spawn().expect("there is a shell");
        let input = keeper.stdin.take();
        let process = Process { keeper, input, _folder: folder };
        Self { _process: Some(process), ..Self::at(&format!("redis://127.0.0.1:{port}")) }
    }

    /// A server that somebody else has started.
    pub fn at(url: &str) -> Self {
        Self { url: url.to_owned(), connection: Mutex::new(connect(url)), _process: None }
    }

    pub fn url(&self) -> &str {
        &self.url
    }

    /// The answer to one command.
    pub fn ask<T: FromRedisValue>(&self, words: &[&[u8]]) -> T {
        let mut command = redis::Cmd::new();
        for word in words {
            command.arg(*word);
        }
        command.query(&mut *self.connection()).expect("the server answers")
    }

    /// The server and its version.
    pub fn version(&self) -> String {
        let info = self.info("server");
        // Valkey tells of a Redis too, the one that it came from.
        let told = |name, field_name| field(&info, field_name).map(|version| format!("{name} {version}"));
        let version = told("valkey-server", "valkey_version:").or_else(|| told("redis-server", "redis_version:"));
        version.unwrap_or_else(|| "unknown".to_owned())
    }

    /// The processor time that the server has used so far.
    pub fn processor_time(&self) -> Duration {
        let info = self.info("cpu");
        let seconds = |name| field(&info, name).and_then(|text| text.parse::<f64>().ok()).unwrap_or(0.0);
        Duration::from_secs_f64(seconds("used_cpu_user:") + seconds("used_cpu_sys:"))
    }

    /// What it has done so far.
    pub fn work(&self) -> Work {
        let info = self.info("stats");
        let count = |name| field(&info, name).and_then(|text| text.parse().ok()).expect("the server counts them");
        Work { commands: count("total_commands_processed:"), found: count("keyspace_hits:") }
    }

    /// How often each command ran so far, those inside of scripts too; without `INFO`.
    pub fn commands(&self) -> BTreeMap<String, u64> {
        let info = self.info("commandstats");
        let lines = info.lines().filter_map(|line| line.strip_prefix("cmdstat_")?.split_once(":calls="));
        let counts = lines.filter(|(name, _)| *name != "info");
        counts.filter_map(|(name, rest)| Some((name.to_owned(), rest.split(',').next()?.parse().ok()?))).collect()
    }

    /// All keys.
    pub fn keys(&self) -> BTreeSet<Vec<u8>> {
        let keys: Vec<Vec<u8>> = self.ask(&[b"KEYS", b"*"]);
        keys.into_iter().collect()
    }

    fn info(&self, section: &str) -> String {
        self.ask(&[b"INFO", section.as_bytes()])
    }

    fn connection(&self) -> MutexGuard<'_, Connection> {
        self.connection.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        drop(self.input.take());
        // Only an error when somebody else has waited for it.
        let _status = self.keeper.wait();
    }
}

fn free_port() -> u16 {
    let listener = TcpListener::bind(("127.0.0.1", 0)).expect("a port is free");
    listener.local_addr().expect("it listens").port()
}

fn connect(url: &str) -> Connection {
    let client = redis::Client::open(url).expect("the URL is one");
    let begun = Instant::now();
    loop {
        match client.get_connection() {
            Ok(connection) => return connection,
            Err(error) => assert!(begun.elapsed() < PATIENCE, "the server does not come up: {error}"),
        }
        std::thread::sleep(Duration::from_millis(10));
    }
}

fn field<'a>(info: &'a str, name: &str) -> Option<&'a str> {
    info.lines().find_map(|line| line.strip_prefix(name)).map(str::trim)
}

#[cfg(test)]
mod tests {
    use super::Server;

    #[test]
    fn a_server_counts_what_it_is_asked_and_ends_when_it_is_dropped() {
        let server = Server::start();
        let url = server.url().to_owned();
        let (work, commands) = (server.work(), server.commands());
        let _: () = server.ask(&[b"SET", b"key", b"value"]);
        let _: String = server.ask(&[b"GET", b"key"]);
        assert_eq!(server.work().found - work.found, 1);
        assert_eq!(server.commands().get("get"), Some(&(commands.get("get").unwrap_or(&0) + 1)));
        assert_eq!(server.keys().len(), 1);
        drop(server);
        let client = redis::Client::open(url).expect("the URL is one");
        assert!(client.get_connection().is_err(), "the server is still there");
    }
}
