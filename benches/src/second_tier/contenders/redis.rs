//! The plain client, `redis` 1.8: what a service would write by hand, and the ceiling, `MGET`.

use harness::calls::{Calls, calls, calls_for_many};
use harness::stage::Stage;
use harness::work::{Output, body};
use redis::AsyncCommands;
use redis::aio::MultiplexedConnection;

use super::{Candidate, decoded, encoded, lifetime_millis};
use crate::contender::Contender;
use crate::workload::{USERS, key};

const KEYS_PER_MGET: usize = 64;

pub(super) const CANDIDATES: &[Candidate] = &[
    Candidate {
        name: "redis `GET`, else `PSETEX`",
        format: "bincode",
        loads: true,
        connect: |stage| calls(Plain(connection(stage))),
    },
    Candidate { name: "redis `MGET` of 64", format: "bincode", loads: false, connect: many },
];

fn many(stage: &Stage) -> Box<dyn Calls> {
    calls_for_many(KEYS_PER_MGET, Many(connection(stage)))
}

fn connection(stage: &Stage) -> MultiplexedConnection {
    let client = redis::Client::open(stage.server.url()).expect("the URL is one");
    let connection = stage.runtime.block_on(client.get_multiplexed_async_connection());
    connection.expect("the server is there")
}

pub(super) fn name(tenant: u64, id: u64) -> String {
    format!("plain:v1:user:{tenant}:{id}")
}

/// One connection for all calls.
struct Plain(MultiplexedConnection);

impl Contender for Plain {
    type Output = Output;

    async fn get(&self, tenant: u64, id: u64) -> Output {
        let (name, mut connection) = (name(tenant, id), self.0.clone());
        let found: Option<Vec<u8>> = connection.get(&name).await.expect("the server answers");
        if let Some(bytes) = found {
            return Ok(decoded(&bytes));
        }
        let user = body(tenant, id).await?;
        let stored = connection.pset_ex::<_, _, ()>(&name, encoded(&user), lifetime_millis()).await;
        stored.expect("the server answers");
        Ok(user)
    }
}

/// What a client can read at most: the users that [`Plain`] has stored, 64 in one command.
struct Many(MultiplexedConnection);

impl Contender for Many {
    type Output = Output;

    async fn get(&self, tenant: u64, id: u64) -> Output {
        let users = (id..).take(KEYS_PER_MGET).map(|user| key(user % USERS));
        let names: Vec<String> = users.map(|(tenant, id)| name(tenant, id)).collect();
        let mut connection = self.0.clone();
        let found: Vec<Vec<u8>> = connection.mget(&names).await.expect("all are stored");
        let users: Vec<_> = found.iter().map(|bytes| decoded(bytes)).collect();
        let own = users.into_iter().find(|user| user.tenant == tenant && user.id == id);
        Ok(own.expect("it was asked for"))
    }
}
