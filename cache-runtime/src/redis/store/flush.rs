//! Several commands at once: those of one server in one flush and in their order, those of others beside them.

use std::collections::BTreeMap;
use std::future::Future;
use std::pin::Pin;
use std::task::Poll;

use redis::{Cmd, Pipeline, Value};

use crate::fault::Fault;
use crate::redis::{HashSlot, Servers};

/// A command and the slot of its keys.
pub(crate) type Addressed = (HashSlot, Cmd);

/// A reply for each command, in their order.
pub(crate) async fn flush(servers: &Servers, commands: Vec<Addressed>) -> Vec<Result<Value, Fault>> {
    // As the servers are now: one that has lost a slot meanwhile sends on who asks for it.
    let mut flushes: BTreeMap<_, Vec<(usize, Addressed)>> = BTreeMap::new();
    for (number, command) in commands.into_iter().enumerate() {
        flushes.entry(servers.server_of(command.0)).or_default().push((number, command));
    }
    let flights = flushes.into_values().map(|commands| {
        let slot = commands[0].1.0;
        let (numbers, commands) = commands.into_iter().map(|(number, (_, command))| (number, command)).unzip();
        send(servers, slot, numbers, commands)
    });
    let flights = flights.collect();
    let mut replies: Vec<(usize, Result<Value, Fault>)> = all(flights).await.into_iter().flatten().collect();
    replies.sort_by_key(|(number, _)| *number);
    replies.into_iter().map(|(_, reply)| reply).collect()
}

async fn send(
    servers: &Servers,
    slot: HashSlot,
    numbers: Vec<usize>,
    commands: Vec<Cmd>,
) -> Vec<(usize, Result<Value, Fault>)> {
    let replies = if let [command] = commands.as_slice() {
        vec![servers.command(slot, command).await]
    } else {
        let mut pipeline = Pipeline::with_capacity(commands.len());
        for command in commands {
            pipeline.add_command(command);
        }
        match servers.pipeline(slot, &pipeline).await {
            Ok(replies) if replies.len() == numbers.len() => replies,
            Ok(replies) => refused(&numbers, &Fault::Nonsense(format!("{} replies to a pipeline", replies.len()))),
            Err(fault) => refused(&numbers, &fault),
        }
    };
    numbers.into_iter().zip(replies).collect()
}

fn refused(numbers: &[usize], fault: &Fault) -> Vec<Result<Value, Fault>> {
    numbers.iter().map(|_| Err(fault.clone())).collect()
}

/// Waits for all of them at the same time.
pub(crate) async fn all<F: Future>(futures: Vec<F>) -> Vec<F::Output> {
    let mut waiting: Vec<Flight<F>> = futures.into_iter().map(|future| Flight::Under(Box::pin(future))).collect();
    std::future::poll_fn(move |context| {
        let mut is_over = true;
        for flight in &mut waiting {
            if let Flight::Under(future) = flight {
                match future.as_mut().poll(context) {
                    Poll::Ready(output) => *flight = Flight::Over(output),
                    Poll::Pending => is_over = false,
                }
            }
        }
        if !is_over {
            return Poll::Pending;
        }
        let over = std::mem::take(&mut waiting).into_iter();
        Poll::Ready(
            over.filter_map(|flight| if let Flight::Over(output) = flight { Some(output) } else { None }).collect(),
        )
    })
    .await
}

enum Flight<F: Future> {
    Under(Pin<Box<F>>),
    Over(F::Output),
}

pub(crate) fn unlink<'a>(names: impl IntoIterator<Item = &'a str>) -> Cmd {
    let mut command = Cmd::new();
    command.arg("UNLINK");
    for name in names {
        command.arg(name);
    }
    command
}

/// One `UNLINK` for each slot.
pub(crate) fn unlink_by_slot(mut names: Vec<(HashSlot, &str)>) -> Vec<Addressed> {
    names.sort_unstable();
    let slots = names.chunk_by(|one, next| one.0 == next.0);
    slots.map(|names| (names[0].0, unlink(names.iter().map(|(_, name)| *name)))).collect()
}
