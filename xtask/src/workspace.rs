//! Where things are in the repository.

use std::fs;
use std::path::{Path, PathBuf};

use crate::failure::Failure;

/// Folders that hold no source of ours.
const NOT_OURS: &[&str] = &["target", ".git", "wip"];

/// The root of the repository, whatever folder the command was started in.
pub(crate) fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("xtask/ lies in the root")
}

/// Every Rust file under the root, as paths relative to it, sorted.
pub(crate) fn rust_files() -> Result<Vec<PathBuf>, Failure> {
    let mut found = Vec::new();
    collect(root(), &mut found)?;
    let mut files: Vec<PathBuf> =
        found.into_iter().map(|path| path.strip_prefix(root()).expect("found below the root").to_owned()).collect();
    files.sort();
    Ok(files)
}

/// The text of a file, named relative to the root.
pub(crate) fn read(path: impl AsRef<Path>) -> Result<String, Failure> {
    let path = path.as_ref();
    fs::read_to_string(root().join(path))
        .map_err(|error| Failure::work(format!("cannot read `{}`: {error}", path.display())))
}

/// The manifest of each package that the root manifest lists as a member.
pub(crate) fn member_manifests() -> Result<Vec<String>, Failure> {
    let manifest = read("Cargo.toml")?;
    let members = manifest
        .lines()
        .find_map(|line| line.strip_prefix("members = "))
        .ok_or_else(|| Failure::work("Cargo.toml has no line `members = [..]`"))?;
    let names = members.split('"').skip(1).step_by(2);
    Ok(names.map(|name| format!("{name}/Cargo.toml")).collect())
}

fn collect(folder: &Path, found: &mut Vec<PathBuf>) -> Result<(), Failure> {
    let unreadable = |error| Failure::work(format!("cannot list `{}`: {error}", folder.display()));
    for entry in fs::read_dir(folder).map_err(unreadable)? {
        let path = entry.map_err(unreadable)?.path();
        let name = path.file_name().unwrap_or_default();
        if path.is_dir() {
            if !NOT_OURS.iter().any(|other| name == *other) {
                collect(&path, found)?;
            }
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
    Ok(())
}
