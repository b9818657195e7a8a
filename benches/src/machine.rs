//! Where and with what a result was measured.

use std::fs;
use std::process::Command;

/// Packages of a lock file, whose versions belong to a result.
type Packages = (&'static str, &'static [&'static str]);

const LOCK: &str = include_str!("../Cargo.lock");
const LOCK_APART: &str = include_str!("../apart/Cargo.lock");

/// Those of the in-process tier.
pub(crate) const L1_PACKAGES: &[Packages] =
    &[(LOCK, &["cached", "foyer", "hitbox-fn", "hitbox-moka", "moka", "quick_cache", "tokio"])];
/// Those of the second tier.
pub(crate) const L2_PACKAGES: &[Packages] = &[
    (LOCK, &["bincode", "cached", "fred", "hitbox-fn", "hitbox-redis", "multi-tier-cache", "redis", "tokio"]),
    (LOCK_APART, &["oxcache"]),
];

/// A list of facts, in Markdown.
pub(crate) fn facts(command: &str, packages: &[Packages]) -> String {
    let facts = [
        ("command", format!("`{command}`")),
        ("date", output("date", &["-u", "+%Y-%m-%d %H:%M UTC"])),
        ("commit", output("git", &["describe", "--always", "--dirty"])),
        ("machine", machine()),
        ("load average at the start", load_average()),
        ("compiler", output("rustc", &["--version"])),
        ("versions", versions(packages)),
    ];
    let lines = facts.map(|(name, fact)| format!("- {name}: {fact}\n"));
    lines.concat()
}

fn machine() -> String {
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    let information = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = information
        .lines()
        .find_map(|line| line.strip_prefix("model name")?.split_once(':'))
        .map_or_else(|| std::env::consts::ARCH.to_owned(), |(_, model)| model.trim().to_owned());
    format!("{cores} cores, {model}, {} {}", std::env::consts::OS, output("uname", &["-r"]))
}

fn load_average() -> String {
    let text = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    text.split_whitespace().next().unwrap_or("unknown").to_owned()
}

fn output(program: &str, arguments: &[&str]) -> String {
    let output = Command::new(program).args(arguments).output();
    output.map_or_else(|_| "unknown".to_owned(), |output| String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

fn versions(packages: &[Packages]) -> String {
    let all = packages.iter().flat_map(|(lock, names)| names.iter().map(move |name| (lock, name)));
    let found = all.filter_map(|(lock, package)| {
        let (_, entry) = lock.split_once(&format!("name = \"{package}\"\nversion = \""))?;
        let (version, _) = entry.split_once('"')?;
        Some(format!("{package} {version}"))
    });
    found.collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::{L1_PACKAGES, L2_PACKAGES, versions};

    #[test]
    fn every_package_is_in_its_lock_file() {
        for packages in [L1_PACKAGES, L2_PACKAGES] {
            let named: usize = packages.iter().map(|(_, names)| names.len()).sum();
            let found = versions(packages);
            assert_eq!(found.split(", ").count(), named, "{found}");
        }
    }
}
