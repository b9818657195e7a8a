//! Real servers for tests. Each has a port and a directory of its own, and ends with its handle.

use std::fmt::Debug;
use std::net::{TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::{Duration, Instant};

use tempfile::TempDir;

/// How long anything may take before a test fails.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

/// The server that tests start: the `redis-server` of the PATH, or another one that this variable names.
pub(crate) fn program() -> String {
    std::env::var("CACHE_TESTS_REDIS_SERVER").unwrap_or_else(|_| "redis-server".to_owned())
}

/// A `redis-server`.
pub(crate) struct Real {
    pub(crate) port: u16,
    directory: TempDir,
    options: Vec<String>,
    process: Option<Child>,
}

impl Real {
    pub(crate) fn start(options: &[&str]) -> Self {
        Self::on(free_port(), options)
    }

    pub(crate) fn on(port: u16, options: &[&str]) -> Self {
        let directory = tempfile::tempdir().expect("a directory");
        let options = options.iter().map(|&option| option.to_owned()).collect();
        let mut real = Self { port, directory, options, process: None };
        real.restart();
        real
    }

    /// A server that is not there yet.
    pub(crate) fn absent() -> Self {
        let directory = tempfile::tempdir().expect("a directory");
        Self { port: free_port(), directory, options: Vec::new(), process: None }
    }

    pub(crate) fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    pub(crate) fn kill(&mut self) {
        if let Some(mut process) = self.process.take() {
            _ = process.kill();
            _ = process.wait();
        }
    }

    /// Starts, again if need be, with what is in its directory.
    pub(crate) fn restart(&mut self) {
        self.kill();
        let mut command = Command::new(program());
        let config = self.path("sentinel.conf");
        if config.exists() {
            command.arg(config).arg("--sentinel");
        } else {
            command.args([
                "--port",
                &self.port.to_string(),
                "--save",
                "",
                "--appendonly",
                "no",
                "--enable-debug-command",
                "yes",
            ]);
        }
        command.args(&self.options).current_dir(&self.directory).stdout(Stdio::null()).stderr(Stdio::null());
        self.process = Some(command.spawn().expect("redis-server is installed"));
        let port = self.port;
        poll("the server listens", || TcpStream::connect(("127.0.0.1", port)).is_ok());
    }

    pub(crate) fn with(&mut self, options: &[&str]) {
        self.options = options.iter().map(|&option| option.to_owned()).collect();
    }

    /// `STOP` or `CONT`.
    pub(crate) fn signal(&self, name: &str) {
        let id = self.process.as_ref().expect("it runs").id().to_string();
        let status = Command::new("kill").args([&format!("-{name}"), &id]).status().expect("kill is there");
        assert!(status.success());
    }

    pub(crate) fn cli(&self, words: &[&str]) -> String {
        cli(self.port, words)
    }

    /// Ends connections by the last part of their names.
    pub(crate) fn kill_clients(&self, name: &str) -> usize {
        let ours: Vec<String> = self.clients(name);
        ours.iter().filter(|id| self.cli(&["CLIENT", "KILL", "ID", id]).trim() == "1").count()
    }

    /// The ids of connections by the last part of their names.
    pub(crate) fn clients(&self, name: &str) -> Vec<String> {
        let list = self.cli(&["CLIENT", "LIST"]);
        let ours = list.lines().filter(|line| line.split(' ').any(|field| field == format!("name=shop:{name}")));
        ours.filter_map(|line| Some(line.strip_prefix("id=")?.split(' ').next()?.to_owned())).collect()
    }
}

impl Drop for Real {
    fn drop(&mut self) {
        self.kill();
    }
}

pub(crate) fn cli(port: u16, words: &[&str]) -> String {
    let output = Command::new("redis-cli").args(["-p", &port.to_string()]).args(words).output();
    let output = output.expect("redis-cli is installed");
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// One that nobody listens on, and neither on the one that a cluster's node uses beside it.
pub(crate) fn free_port() -> u16 {
    let is_free = |port: u16| TcpListener::bind(("127.0.0.1", port)).is_ok();
    loop {
        let port = candidate();
        if is_free(port) && is_free(port + 10_000) {
            return port;
        }
    }
}

/// Another one each time, and none that clients are given: who dials a server that is not there yet, again and again,
/// would meet itself on one of those.
fn candidate() -> u16 {
    const RANGE: (u16, u16) = (4_000, 8_000);
    static NEXT: AtomicU16 = AtomicU16::new(0);
    // Test processes beside this one begin elsewhere.
    let begin = u16::try_from(std::process::id() * 37 % u32::from(RANGE.1)).expect("it is less");
    RANGE.0 + (begin + NEXT.fetch_add(1, Ordering::Relaxed)) % RANGE.1
}

/// Waits until it holds.
#[track_caller]
pub(crate) fn poll(what: &str, mut holds: impl FnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !holds() {
        assert!(Instant::now() < deadline, "in vain: {what}");
        // tidy: sleep because another process gives no other sign
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// Asks again until the answer is as expected.
#[track_caller]
pub(crate) fn until<T: Debug>(
    what: &'static str,
    mut ask: impl AsyncFnMut() -> T,
    mut holds: impl FnMut(&T) -> bool,
) -> impl Future<Output = ()> {
    let place = std::panic::Location::caller();
    async move {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let answer = ask().await;
            if holds(&answer) {
                return;
            }
            assert!(Instant::now() < deadline, "in vain: {what}, at {place}; the last answer: {answer:?}");
            // tidy: sleep because another process gives no other sign
            crate::timer::sleep(Duration::from_millis(5)).await;
        }
    }
}
