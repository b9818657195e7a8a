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
    ensure_c_compiler()
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
