//! The bus and what belongs to it: who reads it how far, and the routes.

use std::time::Duration;

use redis::Cmd;

use crate::fault::Fault;
use crate::names::ROUTES_VERSION;
use crate::redis::reply;
use crate::redis::scripts;
use crate::redis::store::{Store, millis};
use crate::store::{LONGEST_MESSAGE, NodeSeen, Nodes, Position, Reading, Tail, Token};

/// Bytes of messages that are read at once; one message may be longer.
const ROOM: usize = 1 << 20;

/// How long a process is remembered that lost its right to serve.
const REMEMBERED: Duration = Duration::from_mins(1);

/// No message follows one that stands here.
const LAST: Position = Position { millis: u64::MAX, sequence: u64::MAX };

impl Store {
    /// One look at the bus, which may take `more` than other operations. Says that this process has applied everything up
    /// to `applied` and may serve for `right` from now on, and reads what is behind `from`; without that nothing is read.
    pub(crate) async fn slow_probe(
        &self,
        applied: Option<Position>,
        from: Option<Position>,
        most: usize,
        right: Duration,
        more: Duration,
    ) -> Result<Tail, Fault> {
        let (applied, right, most) = (id(applied.unwrap_or_default()), right.as_millis().to_string(), most.to_string());
        let from = from.map(id).unwrap_or_default();
        let keys = [&self.names.nothing, &self.names.bus, &self.names.routes, &self.names.nodes].map(String::as_str);
        let (room, longest) = (ROOM.to_string(), LONGEST_MESSAGE.to_string());
        let args = [&self.node, &applied, &right, &from, &most, &room, &longest].map(String::as_bytes);
        let reply = if more.is_zero() {
            self.servers.bus_script(&scripts::PROBE, &keys, &args).await?
        } else {
            self.servers.slow_bus_script(&scripts::PROBE, &keys, &args, more).await?
        };
        let [now, last, added, routes, messages, more] = reply::fixed(reply, "a probe")?;
        let end = match last {
            redis::Value::Nil => None,
            last => Some(Reading { last: reply::position_of(last)?, added: reply::number(&added, "messages added")? }),
        };
        Ok(Tail {
            server_millis: reply::number(&now, "the server's time")?,
            end,
            messages: reply::array(messages, "messages")?.into_iter().map(reply::message).collect::<Result<_, _>>()?,
            more: reply::number(&more, "whether there is more")? == 1,
            routes: match routes {
                redis::Value::Nil => None,
                version => Some(reply::text(version, "a version")?),
            },
        })
    }

    #[cfg(test)]
    pub(crate) async fn probe(
        &self,
        applied: Option<Position>,
        from: Option<Position>,
        most: usize,
        right: Duration,
    ) -> Result<Tail, Fault> {
        self.slow_probe(applied, from, most, right, Duration::ZERO).await
    }

    /// A write that changes nothing.
    pub(crate) async fn write_nothing(&self) -> Result<(), Fault> {
        let mut command = Cmd::new();
        command.arg("UNLINK").arg(&self.names.nothing);
        self.servers.bus_command(&command).await.map(drop)
    }

    /// Deletes the bus and how far it was read, and begins it anew with a message for those who did not know that there was
    /// one.
    pub(crate) async fn discard(&self) -> Result<(), Fault> {
        let (mut unlink, mut tell) = (Cmd::new(), Cmd::new());
        unlink.arg("UNLINK").arg(&self.names.bus).arg(&self.names.nodes);
        tell.arg("XADD").arg(&self.names.bus).arg("*").arg("all").arg("1");
        self.servers.bus_command(&unlink).await?;
        self.servers.bus_command(&tell).await.map(drop)
    }

    /// Ends when something is behind `last`, or after `most`. Behind the last that there can be nothing is waited for: the
    /// bus begins anew.
    pub(crate) async fn listen(&self, last: Position, most: Duration) -> Result<(), Fault> {
        if last == LAST {
            return Ok(());
        }
        let mut command = Cmd::new();
        command.arg("XREAD").arg("COUNT").arg(1).arg("BLOCK").arg(millis(most)).arg("STREAMS").arg(&self.names.bus);
        command.arg(id(last));
        self.servers.ear_command(&command, most).await.map(drop)
    }

    /// The routes and their version; nothing where there are none, or where it is none of ours.
    pub(crate) async fn routes(&self) -> Result<(Option<String>, Vec<(String, String)>), Fault> {
        let mut command = Cmd::new();
        command.arg("HGETALL").arg(&self.names.routes);
        let (mut version, mut routes) = (None, Vec::new());
        for (field, value) in reply::pairs(self.servers.bus_command(&command).await?, "routes")? {
            let (field, value) = (reply::text(field, "a route's name")?, reply::text(value, "a route")?);
            if field == ROUTES_VERSION {
                version = Some(value).filter(|version| is_version(version));
            } else {
                routes.push((field, value));
            }
        }
        Ok((version, routes))
    }

    /// Adds the routes that are missing or different. The version that the routes have then.
    pub(crate) async fn register(&self, fields: &[(String, String)]) -> Result<String, Fault> {
        let version = format!("{:032x}", u128::from_le_bytes(Token::fresh().0));
        let routes = fields.iter().flat_map(|(field, value)| [field.as_bytes(), value.as_bytes()]);
        let args: Vec<&[u8]> = std::iter::once(version.as_bytes()).chain(routes).collect();
        let keys = [self.names.nothing.as_str(), self.names.routes.as_str()];
        reply::text(self.servers.bus_script(&scripts::REGISTER, &keys, &args).await?, "a version")
    }

    /// The processes that share the bus. Those that lost their right to serve long ago are forgotten.
    pub(crate) async fn nodes(&self) -> Result<Nodes, Fault> {
        let remembered = millis(REMEMBERED).to_string();
        let keys = [self.names.nothing.as_str(), self.names.nodes.as_str()];
        let reply = self.servers.bus_script(&scripts::NODES, &keys, &[remembered.as_bytes()]).await?;
        let mut values = reply::array(reply, "processes")?.into_iter();
        let mut time = || {
            let time = values.next().ok_or_else(|| Fault::Nonsense("processes without a time".to_owned()))?;
            reply::number(&time, "the server's time")
        };
        let (now, since) = (time()?, time()?);
        let mut nodes = Vec::with_capacity(values.len() / 2);
        while let (Some(id), Some(entry)) = (values.next(), values.next()) {
            let (id, entry) = (reply::text(id, "a process")?, reply::text(entry, "a process")?);
            nodes.push(node(id, &entry, now).ok_or_else(|| Fault::Nonsense(format!("a process: {entry}")))?);
        }
        Ok(Nodes { seen: nodes, kept_for: Duration::from_millis(now.saturating_sub(since)) })
    }

    /// Forgets this process: it serves no more.
    pub(crate) async fn leave(&self) {
        let mut command = Cmd::new();
        command.arg("HDEL").arg(&self.names.nodes).arg(&self.node);
        if let Err(fault) = self.servers.bus_command(&command).await {
            tracing::debug!(%fault, "others remember this process until its right to serve is over");
        }
    }
}

/// Whether this may be a version of routes: hexadecimal, as [`Store::register`] writes it.
fn is_version(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_hexdigit())
}

/// As the server writes it.
fn id(position: Position) -> String {
    format!("{}-{}", position.millis, position.sequence)
}

/// `<millis>-<sequence> <end of its right>`.
fn node(id: String, entry: &str, now: u64) -> Option<NodeSeen> {
    let (applied, end) = entry.split_once(' ')?;
    let remaining = end.parse::<u64>().ok()?.checked_sub(now).filter(|left| *left > 0).map(Duration::from_millis);
    Some(NodeSeen { id, applied: reply::position(applied)?, remaining })
}
