//! Where a process calls from: a runtime like that of a service, and the server.

use tokio::runtime::{Builder, Runtime};

use crate::server::Server;

pub struct Stage {
    pub server: Server,
    pub runtime: Runtime,
}

impl Stage {
    /// With a server of its own.
    pub fn start() -> Self {
        Self { server: Server::start(), runtime: runtime() }
    }

    /// With the server of the parent.
    pub fn at(url: &str) -> Self {
        Self { server: Server::at(url), runtime: runtime() }
    }
}

fn runtime() -> Runtime {
    let runtime = Builder::new_multi_thread().worker_threads(2).enable_all().build();
    runtime.expect("a runtime can be built")
}
