//! Against real servers: what works, what breaks, and that it comes back by itself.

mod cluster;
mod credentials;
mod events;
mod sentinel;
mod single;
mod stopped;
mod tls;

use super::*;
use crate::fault::Refusal;
use crate::redis::real::{Real, until};

const TIMEOUT: Duration = Duration::from_millis(200);

fn settings(url: &str) -> ServerSettings {
    ServerSettings {
        url: url.to_owned(),
        pool_size: 2,
        op_timeout: TIMEOUT,
        max_staleness: Duration::from_mins(1),
        client_name: "shop".to_owned(),
        bus: "shop:bus".to_owned(),
        require: false,
    }
}

async fn open(url: &str) -> Servers {
    Servers::open(ServerSettings { require: true, ..settings(url) }).await.expect("the servers are there")
}

async fn refused(url: &str) -> String {
    Servers::open(settings(url)).await.expect_err("it is refused").to_string()
}

fn command(words: &[&str]) -> Cmd {
    let mut command = Cmd::new();
    for word in words {
        command.arg(*word);
    }
    command
}

fn bulk(text: &str) -> Value {
    Value::BulkString(text.as_bytes().to_vec())
}

impl Servers {
    /// A command for the server that has the key, which is its first argument.
    async fn run(&self, words: &[&str]) -> Result<Value, Fault> {
        self.command(self.hash_slot(words.get(1).copied().unwrap_or_default()), &command(words)).await
    }

    async fn run_on_bus(&self, words: &[&str]) -> Result<Value, Fault> {
        self.bus_command(&command(words)).await
    }

    async fn until_up(&self) {
        until("it comes back", async || self.run(&["GET", "any"]).await, Result::is_ok).await;
        until("the bus comes back", async || self.run_on_bus(&["GET", "any"]).await, Result::is_ok).await;
    }
}
