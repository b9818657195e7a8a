//! Loads in tasks of their own, so that they go on when their callers leave.
//!
//! A caller may block the very thread that is to run the task (`block_on` inside of a task), and would wait for ever. So it
//! takes the load back that has not had its first turn in time. That needs a timer, which costs as much as a tenth of a
//! load; so it is left out where a task of the runtime polls the caller itself: between a task and whoever blocks inside of
//! it there is another waker.
//!
//! A caller that leaves may have been the only one to drive the runtime of its task (`block_on` of a runtime with one
//! thread). What nobody drives holds its key and its lease and comes to no end; so where the cache has a runtime of its own,
//! that one looks after loads that nobody waits for.

use std::any::Any;
use std::future::{Future, poll_fn};
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::pin::{Pin, pin};
use std::sync::{Arc, Mutex, Once, OnceLock};
use std::task::{Context, Poll, RawWakerVTable, Waker};
use std::thread;
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::sync::oneshot::{self, Receiver, error::RecvError};
use tracing::Instrument;

use crate::clock::Sleep;
use crate::sync::lock;
use crate::timer;

/// How long the first turn of a task is waited for, where its caller may be what keeps it from that.
const FIRST_TURN: Duration = Duration::from_secs(1);

/// How long a task that was woken may have no turn. A runtime that is busy, or has a thread that is blocked, is driven all
/// the same.
const NO_TURN: Duration = Duration::from_secs(5);

/// How the runtime wakes tasks; known from the first load on that has one.
static TASKS: OnceLock<&'static RawWakerVTable> = OnceLock::new();

/// A load that puts its output where its caller finds it.
pub(crate) type Load = Pin<Box<dyn Future<Output = ()> + Send>>;

/// A load where its task polls it, and others take it from a task that has no turn.
#[derive(Default)]
struct Place {
    load: Option<Load>,
    /// Its task, once that has had a turn.
    task: Option<Waker>,
    /// Somebody waits for its task's next turn.
    is_asked: bool,
}

type Shared = Arc<Mutex<Place>>;

/// Runs a load in a task of its own, in the caller's task where there is no runtime. After `timeout`, a load that nobody
/// listens to is given up; sooner where nobody drives its runtime, if another one `looks_after` it.
pub(crate) async fn detached(load: Load, timeout: Sleep, looks_after: Option<Handle>) {
    let Ok(handle) = Handle::try_current() else {
        return load.await;
    };
    let (answer, answered) = oneshot::channel();
    let place = Shared::new(Mutex::new(Place { load: Some(load), ..Place::default() }));
    let task = Task { place: Arc::clone(&place), answer: Some(answer), timeout: Some(timeout) };
    let may_block = poll_fn(|context| Poll::Ready(may_block(context.waker()))).await;
    let mut caller = Caller { looks_after: another(looks_after, &handle), place };
    handle.spawn(task.in_current_span());
    let answer = if may_block { Box::pin(answered_or_back(answered, &caller.place)).await } else { answered.await };
    caller.looks_after = None;
    match answer {
        Ok(Answer::Done) => {}
        Ok(Answer::Panic(panic)) => resume_unwind(panic),
        Ok(Answer::Unfinished(load)) => load.await,
        // The task answers whoever listens.
        Err(_) => std::future::pending().await,
    }
}

/// Runs a load that nobody waits for in a task of its own; where there is no runtime it is given up. After `timeout` it is
/// given up too; sooner where nobody drives its runtime, if another one `looks_after` it.
pub(crate) fn in_background(load: Load, timeout: Sleep, looks_after: Option<Handle>) {
    if let Ok(handle) = Handle::try_current() {
        let place = Shared::new(Mutex::new(Place { load: Some(load), ..Place::default() }));
        drop(Caller { looks_after: another(looks_after, &handle), place: Arc::clone(&place) });
        let task = Task { place, answer: None, timeout: Some(timeout) };
        handle.spawn(task.in_current_span());
    }
}

/// A runtime that is driven whether this one is or not.
fn another(looks_after: Option<Handle>, this: &Handle) -> Option<Handle> {
    looks_after.filter(|other| other.id() != this.id())
}

/// Whoever began a load. When it leaves, another runtime looks after the load, if there is one.
struct Caller {
    looks_after: Option<Handle>,
    place: Shared,
}

impl Drop for Caller {
    fn drop(&mut self) {
        if let Some(runtime) = self.looks_after.take() {
            runtime.spawn(give_up_undriven(Arc::clone(&self.place)));
        }
    }
}

/// Gives up a load whose task has no turn for [`NO_TURN`] although it was woken: whoever follows takes over.
async fn give_up_undriven(place: Shared) {
    while ask_for_turn(&place) {
        timer::sleep(NO_TURN).await;
        let undriven = take_if(&place, |place| place.is_asked);
        if undriven.is_some() {
            tracing::warn!("nobody drives the runtime of a load that nobody waits for: it is given up");
            return;
        }
    }
}

/// Wakes its task, if it has not come to its end.
fn ask_for_turn(place: &Mutex<Place>) -> bool {
    let task = {
        // Where it is being polled, it has its turn.
        let Ok(mut place) = place.try_lock() else { return true };
        place.is_asked = true;
        if place.load.is_none() {
            return false;
        }
        place.task.clone()
    };
    if let Some(task) = task {
        task.wake();
    }
    true
}

/// Takes the load out of its place; not while it is being polled.
fn take_if(place: &Mutex<Place>, may_be_taken: impl FnOnce(&Place) -> bool) -> Option<Load> {
    let mut place = place.try_lock().ok()?;
    if may_be_taken(&place) { place.load.take() } else { None }
}

/// Whether something else than a task of the runtime waits, and may block its thread. In a simulated world nothing does.
fn may_block(waker: &Waker) -> bool {
    #[cfg(feature = "simulation")]
    if crate::world::now().is_some() {
        return false;
    }
    TASKS.get().is_none_or(|tasks| !std::ptr::eq(*tasks, waker.vtable()))
}

/// What its task says, or the load, if the task has not had its first turn in time.
async fn answered_or_back(mut answered: Receiver<Answer>, place: &Mutex<Place>) -> Result<Answer, RecvError> {
    let mut first_turn = pin!(timer::sleep(FIRST_TURN));
    let mut waits = true;
    poll_fn(|context| {
        if let Poll::Ready(answer) = Pin::new(&mut answered).poll(context) {
            return Poll::Ready(answer);
        }
        if waits && first_turn.as_mut().poll(context).is_ready() {
            waits = false;
            if let Some(load) = take_if(place, |place| place.task.is_none()) {
                tell_once();
                return Poll::Ready(Ok(Answer::Unfinished(load)));
            }
        }
        Poll::Pending
    })
    .await
}

fn tell_once() {
    static TOLD: Once = Once::new();
    TOLD.call_once(|| {
        tracing::warn!(
            "a load has waited for {FIRST_TURN:?} for the first turn of its task, and runs in its caller: does that block a \
             thread of its runtime, as `block_on` inside of a task does?"
        );
    });
}

enum Answer {
    Done,
    Panic(Box<dyn Any + Send>),
    /// The runtime is shutting down, or has not begun: the caller has to go on by itself.
    Unfinished(Load),
}

/// A load in its own task.
struct Task {
    place: Shared,
    answer: Option<oneshot::Sender<Answer>>,
    timeout: Option<Sleep>,
}

impl Task {
    fn end(&mut self, answer: Answer) -> Poll<()> {
        self.forget();
        if let Some(sender) = self.answer.take() {
            // Only an error when the caller left.
            let _nobody = sender.send(answer);
        }
        Poll::Ready(())
    }

    /// What the load holds is dropped where nobody waits for its place.
    fn forget(&mut self) {
        let load = lock(&self.place).load.take();
        drop(load);
    }

    fn is_given_up(&mut self, context: &mut Context<'_>) -> bool {
        if let Some(timeout) = &mut self.timeout {
            if timeout.as_mut().poll(context).is_pending() {
                return false;
            }
            self.timeout = None;
        }
        self.answer.as_mut().is_none_or(|answer| answer.poll_closed(context).is_ready())
    }
}

impl Place {
    /// A turn of its task. Nothing, if the load was taken from there.
    fn poll(&mut self, context: &mut Context<'_>) -> Option<thread::Result<Poll<()>>> {
        self.is_asked = false;
        if self.task.as_ref().is_none_or(|task| !task.will_wake(context.waker())) {
            self.task = Some(context.waker().clone());
        }
        let load = self.load.as_mut()?;
        Some(catch_unwind(AssertUnwindSafe(|| load.as_mut().poll(context))))
    }
}

impl Future for Task {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        TASKS.get_or_init(|| context.waker().vtable());
        let polled = lock(&self.place).poll(context);
        match polled {
            None => Poll::Ready(()),
            Some(Ok(Poll::Ready(()))) => self.end(Answer::Done),
            Some(Err(panic)) => self.end(Answer::Panic(panic)),
            Some(Ok(Poll::Pending)) if self.is_given_up(context) => {
                self.forget();
                Poll::Ready(())
            }
            Some(Ok(Poll::Pending)) => Poll::Pending,
        }
    }
}

impl Drop for Task {
    fn drop(&mut self) {
        let load = lock(&self.place).load.take();
        if let (Some(load), Some(answer)) = (load, self.answer.take()) {
            let _nobody = answer.send(Answer::Unfinished(load));
        }
    }
}
