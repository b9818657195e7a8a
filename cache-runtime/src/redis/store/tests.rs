//! Every operation against a real server, with each of its outcomes.

mod bus;
mod cluster;
mod invalidations;
mod leases;
mod reads;
mod swaps;
mod together;

use std::future::Future;
use std::os::unix::net::UnixStream;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use redis::{Cmd, ToRedisArgs};
use tempfile::TempDir;

use super::*;
use crate::fault::Refusal;
use crate::redis::real::program;
use crate::store::{Ending, Leased, Over, Slot, Stamp, Token};

const LEASE: Duration = Duration::from_secs(20);
const LIFE: Duration = Duration::from_mins(1);

/// A server of its own for each test, and a store over it.
struct World {
    store: Store,
    server: Server,
}

struct Server {
    process: Child,
    directory: TempDir,
}

impl Server {
    fn start() -> Self {
        let directory = tempfile::tempdir().expect("a directory");
        let mut command = Command::new(program());
        command.args(["--port", "0", "--save", "", "--appendonly", "no", "--unixsocket"]);
        command.arg(directory.path().join("s")).current_dir(&directory).stdout(Stdio::null());
        let process = command.spawn().expect("redis-server is installed");
        let server = Self { process, directory };
        let deadline = Instant::now() + Duration::from_secs(10);
        while UnixStream::connect(server.directory.path().join("s")).is_err() {
            assert!(Instant::now() < deadline, "redis-server does not start");
            // tidy: sleep because the server is a process of its own, without a way to tell when it is up
            std::thread::sleep(Duration::from_millis(5));
        }
        server
    }

    fn settings(&self) -> StoreSettings {
        self.settings_at("s")
    }

    /// The same, by way of another socket.
    fn settings_at(&self, socket: &str) -> StoreSettings {
        StoreSettings {
            servers: ServerSettings {
                url: format!("unix://{}", self.directory.path().join(socket).display()),
                pool_size: 2,
                op_timeout: Duration::from_secs(5),
                client_name: "shop".to_owned(),
                ..ServerSettings::default()
            },
            app: "shop".to_owned(),
            node: "a1".to_owned(),
            lease: LEASE,
            ..StoreSettings::default()
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        _ = self.process.kill();
        _ = self.process.wait();
    }
}

impl World {
    async fn new() -> Self {
        let server = Server::start();
        let store = Store::open(server.settings()).await.expect("a server");
        Self { store, server }
    }

    /// The same server, seen by another process.
    async fn other(&self, node: &str) -> Store {
        let settings = StoreSettings { node: node.to_owned(), ..self.server.settings() };
        Store::open(settings).await.expect("a server")
    }

    #[track_caller]
    fn command(&self, words: &[&dyn Word]) -> impl Future<Output = Value> {
        let mut command = Cmd::new();
        for word in words {
            word.add_to(&mut command);
        }
        async move { self.store.servers().bus_command(&command).await.expect("the server does it") }
    }

    /// Memory is used up from now on: nothing is evicted, nothing may grow.
    async fn use_up_memory(&self) {
        self.command(&[&"CONFIG", &"SET", &"maxmemory-policy", &"noeviction"]).await;
        self.command(&[&"CONFIG", &"SET", &"maxmemory", &"1"]).await;
    }

    async fn bytes(&self, name: &str) -> Option<Vec<u8>> {
        match self.command(&[&"GET", &name]).await {
            Value::BulkString(bytes) => Some(bytes),
            Value::Nil => None,
            other => panic!("{other:?}"),
        }
    }

    async fn remaining(&self, name: &str) -> Duration {
        let Value::Int(millis) = self.command(&[&"PTTL", &name]).await else { panic!("PTTL answers a number") };
        Duration::from_millis(u64::try_from(millis).unwrap_or(0))
    }

    async fn exists(&self, name: &str) -> bool {
        self.command(&[&"EXISTS", &name]).await == Value::Int(1)
    }

    async fn take(&self, entry: &str, stamps: &[String]) -> (Token, Vec<Stamp>) {
        let token = Token::fresh();
        match self.store.lease(entry, &Over::Nothing, stamps, LIFE, token).await {
            Ok(Leased::Taken(snapshot)) => (token, snapshot),
            other => panic!("{other:?}"),
        }
    }

    /// How often the server has done it.
    async fn calls(&self, command: &str) -> usize {
        let Value::VerbatimString { text, .. } = self.command(&[&"INFO", &"commandstats"]).await else {
            panic!("text")
        };
        let calls = text.split(&format!("cmdstat_{command}:calls=")).nth(1).and_then(|rest| rest.split(',').next());
        calls.map_or(0, |calls| calls.parse().expect("a number"))
    }

    async fn fill(&self, entry: &str, token: Token) -> Vec<u8> {
        let value = value(token, b"envelope");
        let ended = self.store.end(entry, token, Ending::Fill(&value, LIFE), &[]).await;
        assert!(ended.expect("it is answered").held);
        value
    }
}

/// A word of a command.
trait Word {
    fn add_to(&self, command: &mut Cmd);
}

impl<T: ToRedisArgs> Word for T {
    fn add_to(&self, command: &mut Cmd) {
        command.arg(self);
    }
}

/// A slot of this kind.
fn slot_bytes(kind: &str, token: Token) -> Vec<u8> {
    [kind.as_bytes(), &token.0].concat()
}

fn value(etag: Token, envelope: &[u8]) -> Vec<u8> {
    [&slot_bytes("V0", etag)[..], &[0; 8], envelope].concat()
}

fn names<const N: usize>(groups: [&str; N]) -> Vec<String> {
    groups.iter().map(|group| format!("shop:group:{group}")).collect()
}

#[track_caller]
fn check_refused<T: std::fmt::Debug>(outcome: Result<T, Fault>, expected: Refusal) {
    match outcome {
        Err(Fault::Refused(refusal, _)) if refusal == expected => {}
        other => panic!("{expected:?} expected: {other:?}"),
    }
}
