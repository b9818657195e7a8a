//! A connection that was entered and tried out, whichever client carries it.

use redis::aio::MultiplexedConnection;
use redis::{Cmd, Pipeline, RedisResult, Value};

use crate::redis::mget::Mget;
use crate::redis::packed::Packed;
use crate::redis::pipe::{Pipe, frames};
use crate::redis::reply::Found;

/// A handle; what the server refuses is a [`Value::ServerError`] or an error with a code.
#[derive(Clone)]
pub(crate) enum Connection {
    /// For reads and fills, which are many.
    Pipe(Pipe),
    /// For the bus and whatever is asked now and then.
    Client(MultiplexedConnection),
}

/// The reply to a read.
pub(crate) enum Strings {
    Found(Vec<Found>),
    /// Whatever else: mostly what the server refuses.
    Other(Value),
}

impl Connection {
    pub(crate) async fn command(&mut self, command: &Cmd) -> RedisResult<Value> {
        match self {
            Self::Pipe(pipe) => pipe.command(command).await,
            // Boxed, here and below: what goes over the pipe would carry it along.
            Self::Client(client) => Box::pin(client.send_packed_command(command)).await,
        }
    }

    pub(crate) async fn strings(&mut self, mget: &mut Mget) -> RedisResult<Strings> {
        match self {
            Self::Pipe(pipe) => {
                let reply = pipe.ask(mget.packed(), 1).await?;
                frames::strings(&reply, Ok)
                    .map_or_else(|| frames::value(&reply).map(Strings::Other), |found| Ok(Strings::Found(found)))
            }
            Self::Client(_) => self.command(&mget.to_command()).await.map(Strings::Other),
        }
    }

    /// All in one flush.
    pub(crate) async fn packed(&mut self, packed: &Packed) -> RedisResult<Vec<Value>> {
        match self {
            Self::Pipe(pipe) => frames::values(&pipe.ask(packed.bytes(), packed.count()).await?, packed.count()),
            Self::Client(_) => self.commands(&packed.to_pipeline()).await,
        }
    }

    /// All in one flush.
    pub(crate) async fn commands(&mut self, pipeline: &Pipeline) -> RedisResult<Vec<Value>> {
        match self {
            Self::Pipe(pipe) => pipe.commands(pipeline).await,
            Self::Client(client) => Box::pin(client.send_packed_commands(pipeline, 0, pipeline.len())).await,
        }
    }

    /// Only where pushes are listened to.
    pub(crate) async fn subscribe(&mut self, channel: &str) -> RedisResult<()> {
        match self {
            Self::Pipe(_) => Err(redis::RedisError::from((redis::ErrorKind::Client, "nobody listens there"))),
            Self::Client(client) => Box::pin(client.subscribe(channel)).await,
        }
    }
}
