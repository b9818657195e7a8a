//! A `redis-server` of one test.

use std::fs;
use std::io::{self, BufRead, BufReader, Write};
use std::net::SocketAddr;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use crate::testing::port::{self, Port};
use crate::testing::resp::{Client, Reply};

/// How long a server may take for anything that is asked of it.
const PATIENCE: Duration = Duration::from_secs(10);

/// Names another program than the `redis-server` of the PATH: another version, or Valkey.
const PROGRAM_VARIABLE: &str = "CACHE_TESTS_REDIS_SERVER";

/// Starts the server, tells its process id, and kills it when it is told to, or when the test process is gone, whatever
/// that died of: then it removes the folder too.
const KEEPER: &str = r#"
"$2" "$1/redis.conf" </dev/null >/dev/null 2>&1 &
echo $!
if read -r _; then kill -9 $!; wait; else kill -9 $!; wait; rm -rf -- "$1"; fi
"#;

/// A `redis-server` on a free port of 127.0.0.1, with a folder of its own and without anything on disk to begin with. It is
/// killed when this is dropped, and when the test process ends in whichever way.
///
/// Its methods block for a few milliseconds; they may be called in async tests.
///
/// # Examples
///
/// ```
/// use cache_runtime::testing::RedisServer;
///
/// let server = RedisServer::start()?;
/// server.call(&["SET", "greeting", "hello"])?;
/// assert_eq!(server.call(&["GET", "greeting"])?.to_string(), "hello");
/// assert!(server.url().starts_with("redis://127.0.0.1:"));
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Debug)]
pub struct RedisServer {
    port: Port,
    folder: PathBuf,
    program: String,
    keeper: Mutex<Option<Keeper>>,
}

impl RedisServer {
    /// Starts a server, and returns when it answers.
    ///
    /// # Errors
    ///
    /// If there is no `redis-server`, or it does not start: then with the end of its log.
    pub fn start() -> io::Result<Self> {
        let program = std::env::var(PROGRAM_VARIABLE).unwrap_or_else(|_| "redis-server".to_owned());
        check_program(&program)?;
        let server = Self { port: Port::reserve(), folder: new_folder()?, program, keeper: Mutex::new(None) };
        let folder = server.folder.display();
        let log = server.log_path();
        fs::write(
            server.folder.join("redis.conf"),
            format!(
                "bind 127.0.0.1\nport {}\ndir {folder}\nlogfile {}\nsave \"\"\n",
                server.port.number(),
                log.display()
            ),
        )?;
        server.launch()?;
        Ok(server)
    }

    /// What [`Builder::redis`](crate::Builder::redis) is told.
    #[must_use]
    pub fn url(&self) -> String {
        format!("redis://{}", self.address())
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.port.address()
    }

    /// Calls a command; an error reply is a reply.
    ///
    /// # Errors
    ///
    /// If the server is not there, or does not reply within 10 seconds.
    pub fn call(&self, arguments: &[impl AsRef<[u8]>]) -> io::Result<Reply> {
        Client::connect(self.address(), PATIENCE)?.call(arguments)
    }

    /// Kills it: nothing is saved, and its clients' connections break. Its port stays its own.
    pub fn kill(&self) {
        // A dropped keeper has killed it.
        drop(self.keeper().take());
    }

    /// Kills it if it lives, and starts it anew on its port, without data.
    ///
    /// # Errors
    ///
    /// If it does not come up.
    pub fn restart(&self) -> io::Result<()> {
        self.kill();
        self.launch()
    }

    fn launch(&self) -> io::Result<()> {
        let keeper = Keeper::start(&self.program, &self.folder)?;
        let begun = Instant::now();
        while !self.is_up(&keeper.server) {
            if begun.elapsed() > PATIENCE {
                return Err(io::Error::other(format!("`{}` does not start:\n{}", self.program, self.log())));
            }
            thread::sleep(Duration::from_millis(1));
        }
        *self.keeper() = Some(keeper);
        Ok(())
    }

    /// Whether it answers, and not somebody else who took the port first.
    fn is_up(&self, id: &str) -> bool {
        let information = self.call(&["INFO", "server"]).map(|reply| reply.to_string()).unwrap_or_default();
        information.lines().any(|line| line.trim_end().strip_prefix("process_id:") == Some(id))
    }

    fn log_path(&self) -> PathBuf {
        self.folder.join("log")
    }

    /// The last lines of its log.
    fn log(&self) -> String {
        let log = fs::read_to_string(self.log_path()).unwrap_or_default();
        let lines: Vec<_> = log.lines().collect();
        lines[lines.len().saturating_sub(10)..].join("\n")
    }

    fn keeper(&self) -> MutexGuard<'_, Option<Keeper>> {
        self.keeper.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for RedisServer {
    fn drop(&mut self) {
        self.kill();
        // What cannot be removed is in the temporary folder.
        let _ = fs::remove_dir_all(&self.folder);
    }
}

/// The shell that outlives the test process by as long as it takes to kill the server.
#[derive(Debug)]
struct Keeper {
    shell: Child,
    /// The id of the server's process.
    server: String,
}

impl Keeper {
    fn start(program: &str, folder: &Path) -> io::Result<Self> {
        let mut command = Command::new("sh");
        command.args(["-c", KEEPER, "keeper"]).arg(folder).arg(program);
        // A group of its own: Ctrl-C in a terminal goes to the whole group of the tests.
        command.process_group(0).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut shell = command.spawn()?;
        let mut server = String::new();
        if let Some(output) = shell.stdout.take() {
            BufReader::new(output).read_line(&mut server)?;
        }
        Ok(Self { shell, server: server.trim_end().to_owned() })
    }
}

impl Drop for Keeper {
    fn drop(&mut self) {
        let told = self.shell.stdin.take().map(|mut input| input.write_all(b"kill\n"));
        // A shell that cannot be told is dead, and its server with it or nobody's.
        let _ = told.map(|_| self.shell.wait());
    }
}

fn check_program(program: &str) -> io::Result<()> {
    let shown = Command::new(program).arg("--version").stdout(Stdio::null()).stderr(Stdio::null()).status();
    match shown {
        Ok(_) => Ok(()),
        Err(error) => {
            let problem = format!(
                "cannot run `{program}` ({error}); install Redis 7.0 or newer (or Valkey), or name its server in {PROGRAM_VARIABLE}"
            );
            Err(io::Error::new(error.kind(), problem))
        }
    }
}

fn new_folder() -> io::Result<PathBuf> {
    static NUMBER: AtomicU32 = AtomicU32::new(0);
    let number = NUMBER.fetch_add(1, Ordering::Relaxed);
    let folder = port::shared().join(format!("server-{}-{number}", std::process::id()));
    // An earlier process may have had this id.
    let _ = fs::remove_dir_all(&folder);
    fs::create_dir_all(&folder)?;
    Ok(folder)
}
