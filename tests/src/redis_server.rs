//! A real `redis-server` of one test.

mod options;
mod statistics;

use std::fs::{self, File};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::eventually::eventually_some;
use crate::ports::Port;
use crate::process::Process;
use crate::resp::{Client, Reply};
use crate::scratch::Scratch;

use options::{Kind, Ports, SOCKET};

pub use options::RedisOptions;
pub use statistics::CommandStatistics;

/// How long a server may take for anything that a test asks of it.
const PATIENCE: Duration = Duration::from_secs(10);

/// Names another server than the `redis-server` of the PATH: another version, or Valkey.
const PROGRAM_VARIABLE: &str = "CACHE_TESTS_REDIS_SERVER";

/// A `redis-server` process on a port of 127.0.0.1 and with a folder of its own. Both stay its own while it is dead, and
/// go with it when this is dropped.
///
/// Its methods block for a few milliseconds; they may be called in async tests.
#[derive(Debug)]
pub struct RedisServer {
    options: RedisOptions,
    port: Port,
    tls_port: Port,
    /// For the other nodes of a cluster.
    bus_port: Port,
    scratch: Scratch,
    process: Mutex<Option<Process>>,
}

/// When a start is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Started {
    /// It answers PING with PONG.
    Ready,
    /// It answers, be it that it is loading.
    Answering,
}

impl RedisServer {
    /// A server with nothing special about it.
    ///
    /// # Panics
    ///
    /// If there is no `redis-server`.
    #[must_use]
    pub fn start() -> Self {
        Self::options().start()
    }

    /// A server with something special about it.
    #[must_use]
    pub fn options() -> RedisOptions {
        RedisOptions::default()
    }

    fn start_with(options: RedisOptions) -> Self {
        let [port, tls_port, bus_port] = std::array::from_fn(|_| Port::reserve());
        let server = Self { options, port, tls_port, bus_port, scratch: Scratch::new(), process: Mutex::new(None) };
        // A sentinel writes into its file: it is made once.
        let ports = Ports { plain: server.port(), tls: server.tls_port.number(), bus: server.bus_port.number() };
        let file = server.options.file(&ports, server.scratch.path());
        fs::write(server.config_path(), file).expect("the folder of the test can be written");
        server.launch(Started::Ready);
        server
    }

    /// What a client is told to connect to: with user and password, by TLS or unix socket, if it has these.
    #[must_use]
    pub fn url(&self) -> String {
        let socket = self.scratch.path().join(SOCKET);
        match (&self.options.user, &self.options.password) {
            _ if !self.options.unix_socket => self.url_at(self.client_port()),
            (None, None) => format!("unix://{}", socket.display()),
            (None, Some(password)) => format!("unix://{}?pass={password}", socket.display()),
            (Some((user, password)), _) => format!("unix://{}?user={user}&pass={password}", socket.display()),
        }
    }

    /// [`RedisServer::url`] by way of another port of 127.0.0.1, that of a proxy.
    #[must_use]
    pub fn url_at(&self, port: u16) -> String {
        let scheme = if self.options.tls.is_some() { "rediss" } else { "redis" };
        let (user, password) = match (&self.options.user, &self.options.password) {
            (None, None) => return format!("{scheme}://127.0.0.1:{port}"),
            (None, Some(password)) => ("", password),
            (Some((user, password)), _) => (user.as_str(), password),
        };
        format!("{scheme}://{user}:{password}@127.0.0.1:{port}")
    }

    /// Its port without TLS.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port.number()
    }

    /// Where clients are to connect, and where a proxy has to stand before it: the port of TLS, if it has one.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        ([127, 0, 0, 1], self.client_port()).into()
    }

    /// The port of the cluster's bus.
    #[cfg(feature = "harness")]
    pub(crate) fn cluster_port(&self) -> u16 {
        self.bus_port.number()
    }

    /// The PEM file of the authority that TLS clients have to trust; none without TLS.
    #[must_use]
    pub fn authority(&self) -> Option<&Path> {
        self.options.tls.as_deref().map(|certificates| certificates.authority.as_path())
    }

    fn client_port(&self) -> u16 {
        if self.options.tls.is_some() { self.tls_port.number() } else { self.port() }
    }

    /// SIGKILL: nothing is saved, and its clients' connections break.
    pub fn kill(&self) {
        // A dropped process is dead.
        drop(self.process().take());
    }

    /// SIGSTOP: connections stay, and nobody answers. Returns when it has stopped.
    pub fn stop(&self) {
        self.process().as_ref().inspect(|process| process.stop());
    }

    /// SIGCONT.
    pub fn resume(&self) {
        self.process().as_ref().inspect(|process| process.resume());
    }

    /// SAVE: a snapshot, which [`RedisServer::restart`] begins with.
    ///
    /// # Panics
    ///
    /// If the server does not do so.
    pub fn save(&self) {
        self.cli(&["SAVE"]);
    }

    /// SHUTDOWN SAVE: an orderly end with a snapshot. Returns when it is dead.
    ///
    /// # Panics
    ///
    /// If the server does not do so.
    pub fn shutdown_save(&self) {
        let answer = self.client().and_then(|mut client| client.call(&["SHUTDOWN", "SAVE"]));
        assert!(!matches!(answer, Ok(Reply::Error(_))), "SHUTDOWN SAVE: {answer:?}");
        let process = self.process().take();
        let ended = process.and_then(|process| process.wait(PATIENCE));
        assert!(ended.is_some(), "the server does not shut down");
    }

    /// Starts it anew on its port, with its last snapshot if there is one. A living one is killed before.
    ///
    /// # Panics
    ///
    /// If it does not come up; the message has its log.
    pub fn restart(&self) {
        self.kill();
        self.launch(Started::Ready);
    }

    /// Starts it anew on its port, empty. A living one is killed before.
    ///
    /// # Panics
    ///
    /// If it does not come up; the message has its log.
    pub fn restart_empty(&self) {
        self.kill();
        // There may be none.
        let _ = fs::remove_file(self.scratch.path().join("dump.rdb"));
        self.launch(Started::Ready);
    }

    /// Starts it anew with its last snapshot, `per_key` for each key, and returns while it answers `LOADING ..`. A living
    /// one is killed before.
    ///
    /// # Panics
    ///
    /// If it does not come up; the message has its log.
    pub fn restart_loading(&self, per_key: Duration) {
        self.kill();
        let delay = format!("key-load-delay {}\nloading-process-events-interval-bytes 1024\n", per_key.as_micros());
        let file = fs::read_to_string(self.config_path()).expect("it was written at the start");
        fs::write(self.config_path(), file.clone() + &delay).expect("the folder of the test can be written");
        self.launch(Started::Answering);
        fs::write(self.config_path(), file).expect("the folder of the test can be written");
    }

    /// Calls a command, and returns the reply as `redis-cli` prints it: one element per line, nothing for nil.
    ///
    /// # Panics
    ///
    /// If there is no reply within 10 seconds, or it is an error.
    #[track_caller]
    pub fn cli(&self, arguments: &[&str]) -> String {
        match self.call(arguments).ok() {
            Ok(reply) => reply.to_string(),
            Err(error) => panic!("{}: {error}", arguments.join(" ")),
        }
    }

    /// Calls a command, with any bytes; an error reply is a reply.
    ///
    /// # Panics
    ///
    /// If there is no reply within 10 seconds.
    #[track_caller]
    pub fn call(&self, arguments: &[impl AsRef<[u8]>]) -> Reply {
        match self.client().and_then(|mut client| client.call(arguments)) {
            Ok(reply) => reply,
            Err(error) => panic!("port {}: {error}", self.port()),
        }
    }

    /// A connection of the test's own, as administrator: not by TLS, and not as [`RedisOptions::user`].
    ///
    /// # Errors
    ///
    /// If the server is not there.
    pub fn client(&self) -> std::io::Result<Client> {
        self.client_within(PATIENCE)
    }

    pub(crate) fn client_within(&self, within: Duration) -> std::io::Result<Client> {
        let mut client = Client::connect(self.port.address(), within)?;
        if let Some(password) = &self.options.password {
            client.call(&["AUTH", password])?.ok().map_err(std::io::Error::other)?;
        }
        Ok(client)
    }

    /// The last lines of its log.
    #[must_use]
    pub fn log(&self) -> String {
        let log = fs::read_to_string(self.scratch.path().join("log")).unwrap_or_default();
        let lines: Vec<_> = log.lines().collect();
        lines[lines.len().saturating_sub(20)..].join("\n")
    }

    fn launch(&self, started: Started) {
        let process = Process::adopt(self.command().spawn().expect("`redis-server` is there: see `cargo xtask test`"));
        let up = eventually_some(PATIENCE, || match process.exited() {
            Some(_) => Some(false),
            None => self.is_up(process.id(), started).then_some(true),
        });
        assert_eq!(up, Some(true), "redis-server does not start:\n{}", self.log());
        *self.process() = Some(process);
    }

    fn command(&self) -> Command {
        let program = std::env::var(PROGRAM_VARIABLE).unwrap_or_else(|_| "redis-server".to_owned());
        let log = File::options().create(true).append(true).open(self.scratch.path().join("log"));
        let log = log.expect("the folder of the test can be written");
        let mut command = Command::new(program);
        command.arg(self.config_path()).stdin(Stdio::null()).stdout(log).stderr(Stdio::null());
        if self.options.kind == Kind::Sentinel {
            command.arg("--sentinel");
        }
        command
    }

    /// Whether it answers, and not somebody else who took the port first.
    fn is_up(&self, id: u32, started: Started) -> bool {
        let Ok(mut client) = self.client() else { return false };
        let Ok(information) = client.call(&["INFO", "server"]) else { return false };
        let ours = information.to_string().contains(&format!("process_id:{id}\r\n"));
        let mut is_ready = || client.call(&["PING"]).is_ok_and(|answer| answer == Reply::Status("PONG".to_owned()));
        ours && (started == Started::Answering || is_ready())
    }

    fn config_path(&self) -> PathBuf {
        self.scratch.path().join("redis.conf")
    }

    fn process(&self) -> MutexGuard<'_, Option<Process>> {
        self.process.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
