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

    /// What becomes of the commands of a pipeline. Each goes to the server that it was sent on to itself: another one may
    /// take it for one of its own, and do nothing.
    pub(super) async fn follow_all(
        &self,
        mut replies: Vec<Result<Value, Miss>>,
        pipeline: &Pipeline,
    ) -> Vec<Result<Value, Fault>> {
        for _ in 0..HOPS {
            let groups = by_redirect(&replies, pipeline);
            if groups.is_empty() {
                break;
            }
            for (redirect, again) in groups {
                let Some(pool) = self.target(&redirect) else { continue };
                let commands: Vec<&Cmd> = again.iter().map(|(_, command)| *command).collect();
                match send_on(&pool, &redirect, &commands).await {
                    Ok(answers) => again.into_iter().zip(answers).for_each(|((place, command), answer)| {
                        replies[place] = if is_wait(command) { fewer(&replies[place], answer) } else { answer };
                    }),
                    Err(fault) => again.into_iter().for_each(|(place, _)| replies[place] = Err(fault.clone().into())),
                }
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

/// A command, and its place among all.
type Placed<'a> = (usize, &'a Cmd);

/// What is sent on where: the commands that were sent there, and each `WAIT` behind one, which has not waited for it.
fn by_redirect<'a>(replies: &[Result<Value, Miss>], pipeline: &'a Pipeline) -> Vec<(Redirect, Vec<Placed<'a>>)> {
    let mut groups: Vec<(Redirect, Vec<Placed<'a>>)> = Vec::new();
    for (place, (reply, command)) in replies.iter().zip(pipeline.cmd_iter()).enumerate() {
        match redirect_of(reply) {
            Some(redirect) => match groups.iter_mut().find(|(other, _)| other == redirect) {
                Some((_, again)) => again.push((place, command)),
                None => groups.push((redirect.clone(), vec![(place, command)])),
            },
            None if is_wait(command) => groups.iter_mut().for_each(|(_, again)| again.push((place, command))),
            None => {}
        }
    }
    groups
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

    fn to(host: &str, kind: RedirectKind) -> Redirect {
        Redirect { to: Address::tcp(host, 1), kind }
    }

    /// Writes and waits in turn, and what they were answered: where each is sent on to.
    fn groups(replies: &[Result<Value, Miss>]) -> Vec<(Redirect, Vec<usize>)> {
        let mut pipeline = Pipeline::new();
        for _ in 0..replies.len().div_ceil(2) {
            pipeline.cmd("UNLINK").arg("a").cmd("WAIT").arg(1).arg(9);
        }
        let groups = by_redirect(replies, &pipeline).into_iter();
        groups.map(|(redirect, again)| (redirect, again.into_iter().map(|(place, _)| place).collect())).collect()
    }

    #[test]
    fn what_was_redirected_is_sent_on_with_the_waits_behind_it() {
        let redirect = || Err(Miss::Elsewhere(to("h", RedirectKind::Moved)));
        let places = |replies: [Result<Value, Miss>; 4]| {
            let mut groups = groups(&replies);
            assert!(groups.len() <= 1, "to one server");
            groups.pop().map_or_else(Vec::new, |(_, places)| places)
        };
        let done = || Ok(Value::Int(1));
        assert_eq!(places([redirect(), done(), done(), done()]), [0, 1, 3], "the last one stands for all before it");
        assert_eq!(places([done(), done(), redirect(), done()]), [2, 3]);
        assert_eq!(places([redirect(), done(), redirect(), done()]), [0, 1, 2, 3]);
        assert!(places([done(), done(), done(), done()]).is_empty());
    }

    /// One that is about to have a slot takes whatever comes with `ASKING` for it.
    #[test]
    fn each_goes_to_the_server_that_it_was_sent_on_to_and_the_waits_to_all_of_them() {
        let done = || Ok(Value::Int(1));
        let [asked, moved, other] =
            [to("b", RedirectKind::Ask), to("b", RedirectKind::Moved), to("c", RedirectKind::Moved)];
        let sent_on = |redirect: &Redirect| Err(Miss::Elsewhere(redirect.clone()));
        let replies =
            [sent_on(&asked), done(), sent_on(&other), done(), sent_on(&moved), done(), sent_on(&asked), done()];
        assert_eq!(
            groups(&replies),
            [(asked, vec![0, 1, 3, 5, 6, 7]), (other, vec![2, 3, 5, 7]), (moved, vec![4, 5, 7])]
        );
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
