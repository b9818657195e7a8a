//! What a bare machine may lack, installed on demand and never silently.

use crate::failure::Failure;
use crate::run::Invocation;

/// Rust components the checks need: what cargo calls them, what rustup calls them.
const COMPONENTS: &[(&str, &str)] = &[("fmt", "rustfmt"), ("clippy", "clippy")];

/// Installs what is missing, or says what to install.
pub(crate) fn ensure() -> Result<(), Failure> {
    for (subcommand, component) in COMPONENTS {
        ensure_component(subcommand, component)?;
    }
    ensure_c_compiler()?;
    ensure_redis_server()
}

fn ensure_component(subcommand: &str, component: &str) -> Result<(), Failure> {
    if Invocation::cargo(&[subcommand, "--version"]).works() {
        println!("    {component}: here");
        return Ok(());
    }
    println!("    {component}: missing, installing it with rustup");
    let install = Invocation::program("rustup", &["component", "add", component]).run();
    install.map_err(|failure| Failure::work(format!("{failure}; install `{component}` for this toolchain by hand")))
}

/// `SQLite` is compiled from source for the `storefront` example.
fn ensure_c_compiler() -> Result<(), Failure> {
    let compilers = ["cc", "clang", "gcc"];
    if compilers.iter().any(|name| Invocation::program(name, &["--version"]).works()) {
        println!("    C compiler: here");
        return Ok(());
    }
    if !Invocation::program("apt-get", &["--version"]).works() {
        return Err(Failure::work("a C compiler is needed (bundled SQLite); install gcc or clang"));
    }
    println!("    C compiler: missing, installing gcc and libc6-dev with apt-get");
    Invocation::program("apt-get", &["update", "-q"]).run()?;
    Invocation::program("apt-get", &["install", "-q", "-y", "gcc", "libc6-dev"])
        .env("DEBIAN_FRONTEND", "noninteractive")
        .run()
}

/// The first version with all that the tests ask of a server: `SET .. NX GET`, `ADDSLOTSRANGE`, `cluster-port`.
const REDIS_MAJOR: u32 = 7;

/// The second tier is tested against real servers; the tests start them, on ports of their own.
fn ensure_redis_server() -> Result<(), Failure> {
    if let Some(version) = redis_server_version() {
        println!("    redis-server: here");
        return check_redis_server(&version);
    }
    if !Invocation::program("apt-get", &["--version"]).works() {
        return Err(Failure::work(format!("redis-server {REDIS_MAJOR}.0 or later is needed; install Redis or Valkey")));
    }
    println!("    redis-server: missing, installing it with apt-get, its service switched off");
    as_root(&["sh", "xtask/install-redis-server.sh"])?;
    match redis_server_version() {
        Some(version) => check_redis_server(&version),
        None => Err(Failure::work("apt-get installed redis-server, and yet it cannot be started")),
    }
}

/// Runs a command line as root: as it is, or with a `sudo` that asks nothing.
fn as_root(command: &[&str]) -> Result<(), Failure> {
    let (program, arguments) = command.split_first().expect("a command line has a program");
    if Invocation::program("id", &["-u"]).output().is_some_and(|user| user.trim() == "0") {
        return Invocation::program(program, arguments).run();
    }
    if Invocation::program("sudo", &["-n", "true"]).works() {
        return Invocation::program("sudo", &[&["-n"], command].concat()).run();
    }
    Err(Failure::work(format!("not root, and `sudo` wants a password; run `sudo {}` once", command.join(" "))))
}

/// What `redis-server --version` prints, if there is one.
fn redis_server_version() -> Option<String> {
    Invocation::program("redis-server", &["--version"]).output()
}

fn check_redis_server(version: &str) -> Result<(), Failure> {
    match redis_major(version) {
        // A build that calls itself something else is the developer's own decision.
        None | Some(REDIS_MAJOR..) => Ok(()),
        Some(older) => Err(Failure::work(format!(
            "redis-server {older} is too old for the tests, {REDIS_MAJOR}.0 is the first that works; \
             packages of newer ones: https://redis.io/docs/latest/operate/oss_and_stack/install/"
        ))),
    }
}

/// 7 of `Redis server v=7.0.15 sha=..`.
fn redis_major(version: &str) -> Option<u32> {
    let (_, number) = version.split_once("v=")?;
    number.split('.').next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::{check_redis_server, redis_major};

    #[test]
    fn the_version_of_a_server_is_read() {
        assert_eq!(redis_major("Redis server v=7.0.15 sha=00000000:0 malloc=jemalloc-5.3.0 bits=64"), Some(7));
        assert_eq!(redis_major("Valkey server v=8.1.1 sha=00000000:0"), Some(8));
        assert_eq!(redis_major("something else"), None);
    }

    #[test]
    fn a_server_that_is_too_old_is_refused_with_its_version() {
        let failure = check_redis_server("Redis server v=6.0.16 sha=0").expect_err("6 lacks what the tests use");
        assert!(failure.to_string().contains("redis-server 6 is too old"), "{failure}");
        assert!(check_redis_server("Redis server v=7.0.15").is_ok());
        assert!(check_redis_server("of my own").is_ok());
    }
}
