//! One server at a time: always the same one, or the primary that sentinels name.

use std::future::Future;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use redis::aio::MultiplexedConnection;
use redis::{AsyncConnectionConfig, Cmd, Value};

use crate::fault::{Fault, Refusal};
use crate::redis::answer::{checked, fault_of};
use crate::redis::line::{Dial, within};
use crate::redis::target::{Address, Kind, Target};

/// How long one sentinel may take.
const ASKING: Duration = Duration::from_millis(500);

/// Finds and dials the one server.
#[derive(Debug)]
pub(super) struct Single {
    target: Target,
    /// Where it was found last.
    found: Mutex<Option<Address>>,
}

impl Single {
    pub(super) fn new(target: Target) -> Self {
        Self { target, found: Mutex::new(None) }
    }

    async fn address(&self) -> Result<Address, Fault> {
        let address = match &self.target.kind {
            Kind::Sentinel(service) => self.ask_sentinels(service).await?,
            Kind::Single | Kind::Cluster => self.target.seeds.first().cloned().ok_or(Fault::Away)?,
        };
        *self.found.lock().unwrap_or_else(PoisonError::into_inner) = Some(address.clone());
        Ok(address)
    }

    /// The first answer: a sentinel that is cut off from the others still names the old primary, which its role betrays.
    async fn ask_sentinels(&self, service: &str) -> Result<Address, Fault> {
        let mut problem = Fault::Away;
        for sentinel in &self.target.seeds {
            match within(ASKING, self.ask(sentinel, service)).await {
                Some(Ok(address)) => return Ok(address),
                Some(Err(fault)) => problem = fault,
                None => problem = Fault::Timeout,
            }
        }
        Err(problem)
    }

    async fn ask(&self, sentinel: &Address, service: &str) -> Result<Address, Fault> {
        let config = config();
        let connection = self.target.dial_sentinel(sentinel, &config).await;
        let mut connection = connection.map_err(|error| fault_of(&error))?;
        let mut command = Cmd::with_capacity(3, 48);
        command.arg("SENTINEL").arg("GET-MASTER-ADDR-BY-NAME").arg(service);
        let reply = connection.send_packed_command(&command).await.map_err(|error| fault_of(&error))?;
        match checked(reply)? {
            Value::Array(parts) => match parts.as_slice() {
                [Value::BulkString(host), Value::BulkString(port)] => {
                    let port = std::str::from_utf8(port).ok().and_then(|port| port.parse().ok());
                    let port = port.ok_or_else(|| Fault::Nonsense("a port that is no number".to_owned()))?;
                    Ok(Address::Tcp(String::from_utf8_lossy(host).into_owned(), port))
                }
                other => Err(Fault::Nonsense(format!("{other:?} for an address"))),
            },
            Value::Nil => {
                Err(Fault::Refused(Refusal::Other, format!("the sentinels know no service `{service}`")))
            }
            other => Err(Fault::Nonsense(format!("{other:?} for an address"))),
        }
    }

    /// Behind sentinels only a primary will do: the one that was, may not know yet that it is none any more.
    async fn check_role(&self, connection: &mut MultiplexedConnection) -> Result<(), Fault> {
        if !matches!(self.target.kind, Kind::Sentinel(_)) {
            return Ok(());
        }
        let mut command = Cmd::with_capacity(1, 8);
        command.arg("ROLE");
        let reply = connection.send_packed_command(&command).await.map_err(|error| fault_of(&error))?;
        match checked(reply)? {
            Value::Array(parts) if matches!(parts.first(), Some(Value::BulkString(role)) if role == b"master") => Ok(()),
            _ => Err(Fault::Refused(Refusal::ReadOnly, "the sentinels name a server that is no primary".to_owned())),
        }
    }
}

/// Without timeouts of its own: ours work in every runtime.
fn config() -> AsyncConnectionConfig {
    AsyncConnectionConfig::new().set_connection_timeout(None).set_response_timeout(None)
}

impl Dial for Single {
    fn dial(&self, config: AsyncConnectionConfig) -> impl Future<Output = Result<MultiplexedConnection, Fault>> + Send {
        async move {
            let address = self.address().await?;
            let connection = self.target.dial(&address, &config).await;
            let mut connection = connection.map_err(|error| fault_of(&error))?;
            self.check_role(&mut connection).await?;
            Ok(connection)
        }
    }

    fn place(&self) -> String {
        let found = self.found.lock().unwrap_or_else(PoisonError::into_inner);
        let address = found.as_ref().or_else(|| self.target.seeds.first());
        address.map_or_else(|| "nowhere".to_owned(), Address::to_string)
    }
}
