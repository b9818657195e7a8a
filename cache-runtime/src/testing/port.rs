//! Ports that stay ours while nothing listens on them: a killed server comes back on its old one.

use std::fs::{self, File};
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::PathBuf;
use std::sync::atomic::{AtomicU16, Ordering};

/// Below the range that Linux takes ports of outgoing connections from: a client that dials a dead server again and
/// again may not meet itself there, nor anybody else take the port.
const FIRST: u16 = 12_000;
const COUNT: u16 = 20_000;

/// A port of 127.0.0.1, reserved among all test processes of this user until it is dropped.
#[derive(Debug)]
pub struct Port {
    number: u16,
    /// The kernel unlocks it when the process dies.
    _lock: File,
}

impl Port {
    /// A port that nobody listens on.
    ///
    /// # Panics
    ///
    /// If none of 20,000 ports is free.
    #[must_use]
    pub fn reserve() -> Self {
        (0..COUNT).find_map(|_| Self::try_reserve(candidate())).expect("one of 20,000 ports is free")
    }

    fn try_reserve(number: u16) -> Option<Self> {
        let folder = shared().join("ports");
        fs::create_dir_all(&folder).ok()?;
        let lock = File::create(folder.join(number.to_string())).ok()?;
        lock.try_lock().ok()?;
        // Strangers do not know our locks.
        TcpListener::bind((Ipv4Addr::LOCALHOST, number)).ok()?;
        Some(Self { number, _lock: lock })
    }

    /// Its number.
    #[must_use]
    pub fn number(&self) -> u16 {
        self.number
    }

    /// Its address.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        (Ipv4Addr::LOCALHOST, self.number).into()
    }
}

/// Another port each time; test processes begin at different ones.
fn candidate() -> u16 {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    let begin = u16::try_from(std::process::id() * 37 % u32::from(COUNT)).expect("it is less than `COUNT`");
    FIRST + (begin + NEXT.fetch_add(1, Ordering::Relaxed) % COUNT) % COUNT
}

/// The folder that all test processes of this user share.
pub(super) fn shared() -> PathBuf {
    std::env::temp_dir().join(format!("cache-tests-{}", user()))
}

#[cfg(target_os = "linux")]
fn user() -> u32 {
    rustix::process::getuid().as_raw()
}

/// The temporary folder is the user's own.
#[cfg(not(target_os = "linux"))]
fn user() -> u32 {
    0
}
