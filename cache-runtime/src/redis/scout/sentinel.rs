//! Sentinels watch one primary and its replicas. What most of them know of is believed, and the newest of it: one that
//! is cut off may still name the old primary.

use std::sync::Arc;
use std::time::Duration;

use redis::{Pipeline, Value};
use tokio::task::JoinSet;

use crate::redis::deadlines::Deadlines;
use crate::redis::link::Events;
use crate::redis::looks::Looks;
use crate::redis::pool::{Miss, Pool};
use crate::redis::session::{Access, NoSession, Purpose};
use crate::redis::target::Address;
use crate::redis::topology::Primaries;

/// Asks the sentinels of one service.
pub(crate) struct SentinelScout {
    sentinels: Vec<Arc<Pool>>,
    service: Arc<str>,
    looks: Arc<Looks>,
    access: Arc<Access>,
    /// The newest configuration that any of them told.
    epoch: u64,
}

/// What one sentinel says.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Told {
    epoch: u64,
    primary: Address,
}

impl SentinelScout {
    pub(crate) fn start(
        sentinels: &[Address],
        service: &str,
        looks: Arc<Looks>,
        access: Arc<Access>,
        events: &Events,
        deadlines: &Arc<Deadlines>,
    ) -> Self {
        let link = |address: &Address| {
            Arc::new(Pool::start(address.clone(), Purpose::Scout, 1, &access, events, Arc::clone(deadlines)))
        };
        let sentinels = sentinels.iter().map(link).collect();
        Self { sentinels, service: service.into(), looks, access, epoch: 0 }
    }

    pub(crate) fn first(&self) -> &Address {
        self.sentinels[0].address()
    }

    pub(crate) fn period(&self) -> Duration {
        self.looks.period()
    }

    /// What was known is so old that it is of no use: whatever most of them say next is believed, as if they were asked for
    /// the first time. They may have begun anew.
    pub(crate) fn forget(&mut self) {
        self.epoch = 0;
    }

    pub(crate) async fn look(&mut self) -> Result<Primaries, NoSession> {
        let look = self.looks.begin();
        let told = self.ask_all().await?;
        let primary = self.believe(told)?;
        self.looks.end(&look, &primary);
        Ok(Primaries::one(primary))
    }

    /// The newest of what most of them say.
    async fn ask_all(&self) -> Result<Told, NoSession> {
        let mut asked = JoinSet::new();
        for sentinel in &self.sentinels {
            asked.spawn_on(ask(Arc::clone(sentinel), Arc::clone(&self.service)), &self.access.runtime);
        }
        let (mut told, mut refusal) = (Vec::new(), None);
        while let Some(answer) = asked.join_next().await {
            match answer {
                Ok(Ok(answer)) => told.push(answer),
                Ok(Err(no)) if !matches!(refusal, Some(NoSession::Refused(_))) => refusal = Some(no),
                Ok(Err(_)) | Err(_) => {}
            }
            // The rest may be where the old primary was, and take their time.
            if told.len() > self.sentinels.len() / 2 {
                break;
            }
        }
        match told.iter().max_by_key(|told| told.epoch) {
            // Fewer may be those that were cut off, together with a primary that the others have replaced.
            Some(newest) if told.len() > self.sentinels.len() / 2 => Ok(newest.clone()),
            None => Err(refusal.unwrap_or_else(|| NoSession::Away("no sentinel answers".to_owned()))),
            Some(_) => {
                let few = format!("{} of {} sentinels answer", told.len(), self.sentinels.len());
                Err(refusal.filter(NoSession::is_refusal).unwrap_or(NoSession::Away(few)))
            }
        }
    }

    fn believe(&mut self, told: Told) -> Result<Address, NoSession> {
        if told.epoch < self.epoch {
            return Err(NoSession::Away("what the sentinels know is old".to_owned()));
        }
        self.epoch = told.epoch;
        Ok(told.primary)
    }
}

async fn ask(sentinel: Arc<Pool>, service: Arc<str>) -> Result<Told, NoSession> {
    sentinel.first_tries().await?;
    let mut questions = Pipeline::with_capacity(2);
    questions.cmd("SENTINEL").arg("GET-MASTER-ADDR-BY-NAME").arg(&*service);
    questions.cmd("SENTINEL").arg("MASTER").arg(&*service);
    let replies = sentinel.pipeline(&questions).await.map_err(|fault| NoSession::Away(fault.to_string()))?;
    told(replies).ok_or_else(|| NoSession::Away(format!("the sentinels know no service `{service}`")))
}

fn told(replies: Vec<Result<Value, Miss>>) -> Option<Told> {
    let [Ok(place), Ok(state)] = <[Result<Value, Miss>; 2]>::try_from(replies).ok()? else { return None };
    let [host, port] = redis::from_redis_value::<[String; 2]>(place).ok()?;
    let primary = Address::tcp(&host, port.parse().ok()?);
    let state = redis::from_redis_value::<std::collections::HashMap<String, String>>(state).ok()?;
    Some(Told { epoch: state.get("config-epoch")?.parse().ok()?, primary })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(text: &str) -> Value {
        Value::BulkString(text.as_bytes().to_vec())
    }

    #[test]
    fn the_primary_and_its_epoch_are_read() {
        let place = Value::Array(vec![text("h"), text("7")]);
        let state = |epoch| Value::Map(vec![(text("name"), text("main")), (text("config-epoch"), text(epoch))]);
        let expected = Told { epoch: 3, primary: Address::tcp("h", 7) };
        assert_eq!(told(vec![Ok(place.clone()), Ok(state("3"))]), Some(expected));
        assert_eq!(told(vec![Ok(Value::Nil), Ok(state("3"))]), None);
        assert_eq!(told(vec![Ok(place.clone()), Ok(state("x"))]), None);
        assert_eq!(told(vec![Ok(place)]), None);
    }
}
