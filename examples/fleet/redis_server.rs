//! A `redis-server` of this program's own, on a free port, without anything on disk.

use std::io::{ErrorKind, Read as _, Write as _};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use tempfile::TempDir;

/// How long it may take to start.
const PATIENCE: Duration = Duration::from_secs(10);

const MISSING: &str = "there is no `redis-server` on this machine. Install Redis 7.0 or newer, then run this again: \
                       `apt install redis-server`, `dnf install redis` or `brew install redis`";

/// A running server; it ends when this is dropped.
pub(crate) struct RedisServer {
    process: Child,
    port: u16,
    version: String,
    _folder: TempDir,
}

impl RedisServer {
    /// Starts it, and waits until it answers.
    pub(crate) fn start() -> Result<Self, String> {
        let folder = TempDir::with_prefix("fleet-redis-").map_err(|error| format!("no folder for Redis: {error}"))?;
        let port = free_port()?;
        let mut command = Command::new("redis-server");
        command
            .args(["--bind", "127.0.0.1", "--port", &port.to_string(), "--save", ""])
            .arg("--dir")
            .arg(folder.path());
        let started = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn();
        let process = started.map_err(|error| match error.kind() {
            ErrorKind::NotFound => MISSING.to_owned(),
            _ => format!("`redis-server` does not start: {error}"),
        })?;
        let mut server = Self { process, port, version: String::new(), _folder: folder };
        server.version = server.wait()?;
        Ok(server)
    }

    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    pub(crate) fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }

    /// As it calls itself, such as `7.0.15`.
    pub(crate) fn version(&self) -> &str {
        &self.version
    }

    /// Its version, once it answers.
    fn wait(&mut self) -> Result<String, String> {
        let since = Instant::now();
        while since.elapsed() < PATIENCE {
            if let Some(version) = self.ask() {
                return Ok(version);
            }
            if let Ok(Some(status)) = self.process.try_wait() {
                return Err(format!("`redis-server` has ended at once: {status}"));
            }
            thread::sleep(Duration::from_millis(5));
        }
        Err("`redis-server` does not answer".to_owned())
    }

    /// Its version, if it answers, and not somebody else who took the port first.
    fn ask(&self) -> Option<String> {
        let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, self.port)).ok()?;
        stream.write_all(b"INFO server\r\nQUIT\r\n").ok()?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).ok()?;
        let field = |name| answer.lines().find_map(|line| line.strip_prefix(name));
        let is_ours = field("process_id:") == Some(self.process.id().to_string().as_str());
        field("redis_version:").filter(|_| is_ours).map(str::to_owned)
    }
}

impl Drop for RedisServer {
    fn drop(&mut self) {
        // It may be dead already.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn free_port() -> Result<u16, String> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0));
    let address = listener.and_then(|listener| listener.local_addr());
    address.map(|address| address.port()).map_err(|error| format!("no port is free: {error}"))
}
