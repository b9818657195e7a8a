//! Folders of one test, removed after it: by its end, by the watchdog of a killed test process, or by the next run.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;
use std::sync::atomic::{AtomicU32, Ordering};

use rustix::process::{Pid, getuid, test_kill_process};

/// A folder that is removed when this is dropped.
#[derive(Debug)]
pub struct Scratch(PathBuf);

impl Scratch {
    /// An empty folder with a short path, since that of a unix socket may have 107 bytes.
    ///
    /// # Panics
    ///
    /// If the temporary folder of the system cannot be written.
    #[must_use]
    pub fn new() -> Self {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let path = of_this_process().join(NUMBER.fetch_add(1, Ordering::Relaxed).to_string());
        create(&path);
        Self(path)
    }

    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.0
    }
}

impl Default for Scratch {
    fn default() -> Self {
        Self::new()
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        // What cannot be removed now is left to the next run.
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// The folder that all test processes of this user share.
pub(crate) fn shared() -> &'static Path {
    static SHARED: LazyLock<PathBuf> = LazyLock::new(|| {
        let path = std::env::temp_dir().join(format!("cache-tests-{}", getuid().as_raw()));
        create(&path);
        path
    });
    &SHARED
}

/// The folder of this test process; those of dead ones are removed on the first call.
pub(crate) fn of_this_process() -> &'static Path {
    static OWN: LazyLock<PathBuf> = LazyLock::new(|| {
        remove_what_the_dead_left();
        let path = shared().join(std::process::id().to_string());
        // An earlier process may have had this id.
        let _ = fs::remove_dir_all(&path);
        create(&path);
        path
    });
    &OWN
}

fn remove_what_the_dead_left() {
    let Ok(entries) = fs::read_dir(shared()) else { return };
    for entry in entries.flatten() {
        let owner = entry.file_name().to_str().and_then(|name| name.parse().ok()).and_then(Pid::from_raw);
        if owner.is_some_and(|owner| test_kill_process(owner).is_err()) {
            let _ = fs::remove_dir_all(entry.path());
        }
    }
}

fn create(path: &Path) {
    fs::create_dir_all(path).unwrap_or_else(|error| panic!("cannot create {}: {error}", path.display()));
}
