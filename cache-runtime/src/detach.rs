//! Loads in tasks of their own, so that they go on when their callers leave.
//!
//! A caller may block the very thread that is to run the task (`block_on` inside of a task), and would wait for ever. So it
//! takes the load back that has not had its first turn in time. That needs a timer, which costs as much as a tenth of a
//! load; so it is left out where a task of the runtime polls the caller itself: between a task and whoever blocks inside of
//! it there is another waker.

use std::any::Any;
use std::future::{Future, poll_fn};
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::pin::{Pin, pin};
use std::sync::{Arc, Mutex, Once, OnceLock};
use std::task::{Context, Poll, RawWakerVTable, Waker};
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::sync::oneshot::{self, Receiver, error::RecvError};
use tracing::Instrument;

use crate::clock::Sleep;
use crate::sync::lock;
use crate::timer;

/// How long the first turn of a task is waited for, where its caller may be what keeps it from that.
const FIRST_TURN: Duration = Duration::from_secs(1);

/// How the runtime wakes tasks; known from the first load on that has one.
static TASKS: OnceLock<&'static RawWakerVTable> = OnceLock::new();

/// A load that puts its output where its caller finds it.
pub(crate) type Load = Pin<Box<dyn Future<Output = ()> + Send>>;

/// Where a load stands until its task has its first turn, or its caller takes it back.
type Place = Arc<Mutex<Option<Load>>>;

/// Runs a load in a task of its own, in the caller's task where there is no runtime. After `timeout`, a load that nobody
/// listens to is given up.
pub(crate) async fn detached(load: Load, timeout: Sleep) {
    let Ok(handle) = Handle::try_current() else {
        return load.await;
    };
    let (answer, answered) = oneshot::channel();
    let mut task = Task { load: Some(load), place: None, answer: Some(answer), timeout: Some(timeout) };
    let place = poll_fn(|context| Poll::Ready(may_block(context.waker()).then(|| task.put_in_place()))).await;
    handle.spawn(task.in_current_span());
    let answer = match place {
        None => answered.await,
        Some(place) => Box::pin(answered_or_back(answered, place)).await,
    };
    match answer {
        Ok(Answer::Done) => {}
        Ok(Answer::Panic(panic)) => resume_unwind(panic),
        Ok(Answer::Unfinished(load)) => load.await,
        // The task answers whoever listens.
        Err(_) => std::future::pending().await,
    }
}

/// Runs a load that nobody waits for in a task of its own; where there is no runtime it is given up. After `timeout` it is
/// given up too.
pub(crate) fn in_background(load: Load, timeout: Sleep) {
    if let Ok(handle) = Handle::try_current() {
        let task = Task { load: Some(load), place: None, answer: None, timeout: Some(timeout) };
        handle.spawn(task.in_current_span());
    }
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
async fn answered_or_back(mut answered: Receiver<Answer>, place: Place) -> Result<Answer, RecvError> {
    let mut first_turn = pin!(timer::sleep(FIRST_TURN));
    let mut waits = true;
    poll_fn(|context| {
        if let Poll::Ready(answer) = Pin::new(&mut answered).poll(context) {
            return Poll::Ready(answer);
        }
        if waits && first_turn.as_mut().poll(context).is_ready() {
            waits = false;
            if let Some(load) = lock(&place).take() {
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
    load: Option<Load>,
    /// Where it stands before the first turn, if not here.
    place: Option<Place>,
    answer: Option<oneshot::Sender<Answer>>,
    timeout: Option<Sleep>,
}

impl Task {
    /// The load stands where its caller finds it, too.
    fn put_in_place(&mut self) -> Place {
        let place = Arc::new(Mutex::new(self.load.take()));
        Arc::clone(self.place.insert(place))
    }

    fn take_from_place(&mut self) {
        if let Some(place) = self.place.take() {
            self.load = lock(&place).take();
        }
    }

    fn end(&mut self, answer: Answer) -> Poll<()> {
        self.load = None;
        if let Some(sender) = self.answer.take() {
            // Only an error when the caller left.
            let _nobody = sender.send(answer);
        }
        Poll::Ready(())
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

impl Future for Task {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        TASKS.get_or_init(|| context.waker().vtable());
        self.take_from_place();
        let Some(load) = &mut self.load else { return Poll::Ready(()) };
        match catch_unwind(AssertUnwindSafe(|| load.as_mut().poll(context))) {
            Ok(Poll::Ready(())) => self.end(Answer::Done),
            Err(panic) => self.end(Answer::Panic(panic)),
            Ok(Poll::Pending) if self.is_given_up(context) => {
                self.load = None;
                Poll::Ready(())
            }
            Ok(Poll::Pending) => Poll::Pending,
        }
    }
}

impl Drop for Task {
    fn drop(&mut self) {
        self.take_from_place();
        if let (Some(load), Some(answer)) = (self.load.take(), self.answer.take()) {
            let _nobody = answer.send(Answer::Unfinished(load));
        }
    }
}
