//! `fred` 10.1, one client as its guide shows.

use fred::clients::Client;
use fred::interfaces::{ClientLike, KeysInterface};
use fred::types::Expiration;
use fred::types::config::{Config, TcpConfig};
use harness::calls::{Calls, calls};
use harness::stage::Stage;
use harness::work::{Output, body};

use super::{Candidate, decoded, encoded, lifetime_millis};
use crate::contender::Contender;

pub(super) const CANDIDATES: &[Candidate] =
    &[Candidate { name: "fred `GET`, else `SET .. PX`", format: "bincode", loads: true, connect }];

fn connect(stage: &Stage) -> Box<dyn Calls> {
    let config = Config::from_url(stage.server.url()).expect("the URL is one");
    let mut builder = fred::types::Builder::from_config(config);
    builder.with_connection_config(|config| config.tcp = TcpConfig { nodelay: Some(true), ..TcpConfig::default() });
    let client = builder.build().expect("the settings are good");
    stage.runtime.block_on(client.init()).expect("the server is there");
    calls(Fred(client))
}

struct Fred(Client);

impl Contender for Fred {
    type Output = Output;

    async fn get(&self, tenant: u64, id: u64) -> Output {
        let name = format!("fred:v1:user:{tenant}:{id}");
        let found: Option<Vec<u8>> = self.0.get(&name).await.expect("the server answers");
        if let Some(bytes) = found {
            return Ok(decoded(&bytes));
        }
        let user = body(tenant, id).await?;
        let lifetime = Expiration::PX(i64::try_from(lifetime_millis()).expect("a short time"));
        let stored = self.0.set::<(), _, _>(&name, encoded(&user).as_slice(), Some(lifetime), None, false).await;
        stored.expect("the server answers");
        Ok(user)
    }
}
