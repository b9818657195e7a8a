//! A cluster's servers send whoever is wrong to the right one: `MOVED` from now on, `ASK` this once.

use std::sync::Arc;

use redis::{Arg, Cmd, Pipeline, Value};

use crate::fault::Fault;
use crate::redis::pool::{Miss, Pool};
use crate::redis::refusal::{Redirect, RedirectKind};
use crate::redis::servers::Servers;

/// How often one operation is sent on.
const HOPS: usize = 3;

impl Servers {
    /// What becomes of a command that did not succeed where it was sent first.
    pub(super) async fn follow(&self, mut miss: Miss, command: &Cmd) -> Result<Value, Fault> {
        for _ in 0..HOPS {
            let Miss::Elsewhere(redirect) = &miss else { break };
            let Some(pool) = self.target(redirect) else { break };
            match send_on(&pool, redirect, &[command]).await?.pop() {
                Some(Ok(value)) => return Ok(value),
                Some(Err(next)) => miss = next,
                None => break,
            }
        }
        Err(miss.into())
    }

    /// What becomes of the commands of a pipeline.
    pub(super) async fn follow_all(
        &self,
        mut replies: Vec<Result<Value, Miss>>,
        pipeline: &Pipeline,
    ) -> Vec<Result<Value, Fault>> {
        for _ in 0..HOPS {
            let Some(redirect) = replies.iter().find_map(redirect_of).cloned() else { break };
            let Some(pool) = self.target(&redirect) else { break };
            let again = again(&replies, pipeline);
            let commands: Vec<&Cmd> = again.iter().map(|(_, command)| *command).collect();
            match send_on(&pool, &redirect, &commands).await {
                Ok(answers) => {
                    for ((place, command), answer) in again.into_iter().zip(answers) {
                        replies[place] = if is_wait(command) { fewer(&replies[place], answer) } else { answer };
                    }
                }
                Err(fault) => again.into_iter().for_each(|(place, _)| replies[place] = Err(fault.clone().into())),
            }
        }
        replies.into_iter().map(|reply| reply.map_err(Fault::from)).collect()
    }

    fn target(&self, redirect: &Redirect) -> Option<Arc<Pool>> {
        match redirect.kind {
            // If it is not known yet: whoever looks where servers are was told, and will know it in a moment.
            RedirectKind::Moved => self.topology.pool_at(&redirect.to),
            // Nobody names it to them before it has its first slot.
            RedirectKind::Ask => Some(self.topology.guest(&redirect.to)),
        }
    }
}

fn redirect_of(reply: &Result<Value, Miss>) -> Option<&Redirect> {
    match reply {
        Err(Miss::Elsewhere(redirect)) => Some(redirect),
        Ok(_) | Err(Miss::Fault(_)) => None,
    }
}

/// What is sent on: commands that were redirected, and each `WAIT` behind one, which has not waited for it.
fn again<'a>(replies: &[Result<Value, Miss>], pipeline: &'a Pipeline) -> Vec<(usize, &'a Cmd)> {
    let mut follows = false;
    let commands = replies.iter().zip(pipeline.cmd_iter()).enumerate();
    let again = commands.filter(|(_, (reply, command))| {
        let is_redirected = redirect_of(reply).is_some();
        follows |= is_redirected;
        is_redirected || (follows && is_wait(command))
    });
    again.map(|(place, (_, command))| (place, command)).collect()
}

/// Of what two servers say of their replicas, the less: what came before was on both.
fn fewer(before: &Result<Value, Miss>, now: Result<Value, Miss>) -> Result<Value, Miss> {
    match (before, &now) {
        (Ok(Value::Int(before)), Ok(Value::Int(have))) if before < have => Ok(Value::Int(*before)),
        (Err(Miss::Fault(fault)), Ok(_)) => Err(Miss::Fault(fault.clone())),
        _ => now,
    }
}

fn is_wait(command: &Cmd) -> bool {
    matches!(command.args_iter().next(), Some(Arg::Simple(b"WAIT")))
}

/// To another server, in one flush; `ASKING` before each command where the slot is not its own yet.
async fn send_on(pool: &Pool, redirect: &Redirect, commands: &[&Cmd]) -> Result<Vec<Result<Value, Miss>>, Fault> {
    let mut pipeline = Pipeline::with_capacity(2 * commands.len());
    for command in commands {
        if redirect.kind == RedirectKind::Ask {
            pipeline.cmd("ASKING");
        }
        pipeline.add_command((*command).clone());
    }
    let replies = pool.pipeline(&pipeline).await?;
    let step = pipeline.len() / commands.len().max(1);
    Ok(replies.into_iter().skip(step - 1).step_by(step).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::redis::target::Address;

    #[test]
    fn what_was_redirected_is_sent_on_with_the_waits_behind_it() {
        let redirect = || Err(Miss::Elsewhere(Redirect { to: Address::tcp("h", 1), kind: RedirectKind::Moved }));
        let mut pipeline = Pipeline::new();
        pipeline.cmd("UNLINK").arg("a").cmd("WAIT").arg(1).arg(9).cmd("UNLINK").arg("b").cmd("WAIT").arg(1).arg(9);
        let places = |replies: [Result<Value, Miss>; 4]| {
            let again = again(&replies, &pipeline);
            again.into_iter().map(|(place, _)| place).collect::<Vec<_>>()
        };
        let done = || Ok(Value::Int(1));
        assert_eq!(places([redirect(), done(), done(), done()]), [0, 1, 3], "the last one stands for all before it");
        assert_eq!(places([done(), done(), redirect(), done()]), [2, 3]);
        assert_eq!(places([redirect(), done(), redirect(), done()]), [0, 1, 2, 3]);
        assert!(places([done(), done(), done(), done()]).is_empty());
    }

    #[test]
    fn the_server_with_the_fewest_replicas_counts() {
        let of = |have| Ok(Value::Int(have));
        assert_eq!(fewer(&of(0), of(2)), of(0));
        assert_eq!(fewer(&of(2), of(1)), of(1));
        let late = || Err(Miss::Fault(Fault::Timeout));
        assert_eq!(fewer(&late(), of(1)), late());
        assert_eq!(fewer(&of(1), late()), late());
    }
}
