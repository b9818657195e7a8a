//! Against an other end that the test holds: what comes when, and in which pieces, is decided here.

use std::sync::atomic::{AtomicBool, Ordering};
use std::task::Wake;
use std::time::Duration;

use redis::cmd;
use tokio::io::{AsyncRead, AsyncWriteExt, DuplexStream, ReadBuf, duplex};
use tokio::task::JoinHandle;
use tokio::time;

use super::*;

/// A pipe, its driver's task, and the server's end of a socket that holds so many bytes.
fn open(room: usize) -> (Pipe, JoinHandle<()>, DuplexStream) {
    let (near, far) = duplex(room);
    let (pipe, driver) = Pipe::new(Box::new(near));
    (pipe, tokio::spawn(driver), far)
}

/// Asked for by a task of its own.
fn ask(pipe: &Pipe, words: &[&str]) -> JoinHandle<Result<Value, RedisError>> {
    let (pipe, command) = (pipe.clone(), packed(words));
    tokio::spawn(async move { frames::value(&pipe.ask(&command, 1).await?) })
}

fn packed(words: &[&str]) -> Vec<u8> {
    let mut command = cmd(words[0]);
    command.arg(&words[1..]);
    command.get_packed_command()
}

/// What the server was sent next.
async fn received(far: &mut DuplexStream, words: &[&str]) {
    let expected = packed(words);
    let mut bytes = vec![0; expected.len()];
    far.read_exact(&mut bytes).await.expect("the connection is open");
    assert_eq!(bytes, expected);
}

async fn answer(far: &mut DuplexStream, bytes: &[u8]) {
    far.write_all(bytes).await.expect("the connection is open");
}

/// Polled once.
struct Polled(AtomicBool);

impl Wake for Polled {
    fn wake(self: Arc<Self>) {
        self.0.store(true, Ordering::Relaxed);
    }
}

fn poll<F: Future>(future: Pin<&mut F>, polled: &Arc<Polled>) -> Poll<F::Output> {
    polled.0.store(false, Ordering::Relaxed);
    future.poll(&mut Context::from_waker(&Waker::from(Arc::clone(polled))))
}

fn polled() -> Arc<Polled> {
    Arc::new(Polled(AtomicBool::new(false)))
}

#[track_caller]
fn check_broken<T: fmt::Debug>(outcome: Result<T, RedisError>, expected: &str) {
    let told = outcome.expect_err("the connection is broken").to_string();
    assert!(told.contains(expected), "{told}");
}

#[tokio::test]
async fn replies_go_to_those_who_asked_in_their_order() {
    let (pipe, _driver, mut far) = open(64 << 10);
    let (one, two) = (ask(&pipe, &["GET", "1"]), ask(&pipe, &["GET", "2"]));
    received(&mut far, &["GET", "1"]).await;
    received(&mut far, &["GET", "2"]).await;
    answer(&mut far, b"$3\r\none\r\n$3\r\ntw").await;
    assert_eq!(one.await.expect("no panic").expect("a reply"), Value::BulkString(b"one".to_vec()));
    answer(&mut far, b"o\r\n").await;
    assert_eq!(two.await.expect("no panic").expect("a reply"), Value::BulkString(b"two".to_vec()));
}

#[tokio::test]
async fn what_goes_out_together_has_its_replies_together_whatever_is_pushed_between() {
    let (pipe, _driver, mut far) = open(64 << 10);
    let mut pipeline = Pipeline::new();
    pipeline.cmd("GET").arg("1").cmd("GET").arg("2").cmd("GET").arg("3");
    let answering = async {
        received(&mut far, &["GET", "1"]).await;
        answer(&mut far, b"+1\r\n-ERR 2\r\n>2\r\n+message\r\n+pushed\r\n:3\r\n").await;
    };
    let (values, ()) = tokio::join!(pipe.commands(&pipeline), answering);
    let values = values.expect("replies");
    assert!(
        matches!(values.as_slice(), [Value::SimpleString(one), Value::ServerError(_), Value::Int(3)] if one == "1")
    );
}

#[tokio::test]
async fn whoever_asks_writes_without_a_driver_that_runs() {
    let (near, mut far) = duplex(1 << 10);
    let (pipe, driver) = Pipe::new(Box::new(near));
    let (command, polled) = (cmd("PING"), polled());
    let mut asking = Box::pin(pipe.command(&command));
    assert!(poll(asking.as_mut(), &polled).is_pending());
    received(&mut far, &["PING"]).await;
    tokio::spawn(driver);
    answer(&mut far, b"+PONG\r\n").await;
    assert_eq!(asking.await.expect("a reply"), Value::SimpleString("PONG".to_owned()));
}

#[tokio::test]
async fn what_the_socket_does_not_take_at_once_goes_out_later_and_in_order() {
    let (pipe, _driver, mut far) = open(16);
    let long = "long".repeat(1_000);
    let asked = [ask(&pipe, &["SET", "1", &long]), ask(&pipe, &["GET", "2"])];
    received(&mut far, &["SET", "1", &long]).await;
    received(&mut far, &["GET", "2"]).await;
    answer(&mut far, b"+OK\r\n_\r\n").await;
    let mut replies = Vec::new();
    for asked in asked {
        replies.push(asked.await.expect("no panic").expect("a reply"));
    }
    assert_eq!(replies, [Value::Okay, Value::Nil]);
}

/// What is written stands here until it is flushed, and that takes a second try.
struct Buffered {
    stream: DuplexStream,
    held: Vec<u8>,
    is_asked: bool,
}

impl AsyncRead for Buffered {
    fn poll_read(self: Pin<&mut Self>, context: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_read(context, buffer)
    }
}

impl AsyncWrite for Buffered {
    fn poll_write(mut self: Pin<&mut Self>, _: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.held.extend_from_slice(bytes);
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        if !mem::replace(&mut self.is_asked, true) {
            context.waker().wake_by_ref();
            return Poll::Pending;
        }
        let Self { stream, held, .. } = &mut *self;
        let written = ready!(Pin::new(stream).poll_write(context, held))?;
        assert_eq!(written, held.len(), "there is room for all of it");
        held.clear();
        self.is_asked = false;
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_shutdown(context)
    }
}

#[tokio::test(start_paused = true)]
async fn what_a_stream_holds_back_is_flushed() {
    let (near, mut far) = duplex(1 << 10);
    let (pipe, driver) = Pipe::new(Box::new(Buffered { stream: near, held: Vec::new(), is_asked: false }));
    tokio::spawn(driver);
    for number in ["1", "2", "3"] {
        let words = ["GET", number];
        let asked = ask(&pipe, &words);
        time::timeout(Duration::from_secs(1), received(&mut far, &words)).await.expect("it is flushed");
        answer(&mut far, b"_\r\n").await;
        assert_eq!(asked.await.expect("no panic").expect("a reply"), Value::Nil);
    }
}

#[tokio::test]
async fn whoever_leaves_disturbs_nobody() {
    let (pipe, _driver, mut far) = open(64 << 10);
    let (command, polled) = (cmd("PING"), polled());
    let mut leaving = Box::pin(pipe.command(&command));
    assert!(poll(leaving.as_mut(), &polled).is_pending());
    drop(leaving);
    let stays = ask(&pipe, &["GET", "1"]);
    received(&mut far, &["PING"]).await;
    received(&mut far, &["GET", "1"]).await;
    answer(&mut far, b"+PONG\r\n$1\r\nx\r\n").await;
    assert_eq!(stays.await.expect("no panic").expect("a reply"), Value::BulkString(b"x".to_vec()));
}

#[tokio::test]
async fn too_much_that_is_unsent_makes_those_wait_who_ask_and_what_waits_is_not_sent_if_it_leaves() {
    let (near, mut far) = duplex(16);
    let (pipe, driver) = Pipe::new(Box::new(near));
    let (large, polled) = (vec![b'x'; MOST_UNSENT + 100], polled());
    let mut first = Box::pin(pipe.ask(&large, 1));
    assert!(poll(first.as_mut(), &polled).is_pending());
    let (mut waits, mut leaves) = (Box::pin(pipe.ask(b"second", 1)), Box::pin(pipe.ask(b"third", 1)));
    assert!(poll(leaves.as_mut(), &polled).is_pending());
    assert!(poll(waits.as_mut(), &polled).is_pending());
    assert_eq!(pipe.lock().asked.len(), 1);
    drop(leaves);
    let driver = tokio::spawn(driver);
    let mut bytes = vec![0; large.len()];
    far.read_exact(&mut bytes).await.expect("it is open");
    until_woken(&polled).await;
    assert!(poll(waits.as_mut(), &polled).is_pending());
    let mut bytes = [0; 6];
    far.read_exact(&mut bytes).await.expect("it is open");
    assert_eq!(&bytes, b"second");
    answer(&mut far, b"+1\r\n+2\r\n").await;
    assert_eq!(first.await.expect("a reply"), "+1\r\n");
    assert_eq!(waits.await.expect("a reply"), "+2\r\n");
    driver.abort();
}

async fn until_woken(polled: &Polled) {
    while !polled.0.load(Ordering::Relaxed) {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn a_closed_connection_fails_all_that_wait_and_all_that_come() {
    let (pipe, driver, mut far) = open(64 << 10);
    let waiting = ask(&pipe, &["GET", "1"]);
    received(&mut far, &["GET", "1"]).await;
    answer(&mut far, b"$3\r\non").await;
    drop(far);
    driver.await.expect("it ends");
    check_broken(waiting.await.expect("no panic"), "closed the connection");
    check_broken(pipe.command(&cmd("PING")).await, "closed the connection");
}

#[tokio::test]
async fn a_stopped_driver_fails_all_that_wait_even_for_the_socket() {
    let (near, _far) = duplex(16);
    let (pipe, driver) = Pipe::new(Box::new(near));
    let (large, polled) = (vec![b'x'; MOST_UNSENT + 100], polled());
    let (mut sent, mut waits) = (Box::pin(pipe.ask(&large, 1)), Box::pin(pipe.ask(b"second", 1)));
    assert!(poll(sent.as_mut(), &polled).is_pending());
    assert!(poll(waits.as_mut(), &polled).is_pending());
    drop(driver);
    assert!(polled.0.load(Ordering::Relaxed));
    check_broken(sent.await, "its task was stopped");
    check_broken(waits.await, "its task was stopped");
}

#[tokio::test]
async fn what_is_no_reply_and_what_nobody_asked_for_breaks_it() {
    for (bytes, expected) in [(&b"HTTP/1.1 400\r\n"[..], "no reply"), (b"+1\r\n+2\r\n", "nobody has asked for")] {
        let (pipe, driver, mut far) = open(64 << 10);
        let waiting = ask(&pipe, &["GET", "1"]);
        received(&mut far, &["GET", "1"]).await;
        answer(&mut far, bytes).await;
        driver.await.expect("it ends");
        check_broken(pipe.command(&cmd("PING")).await, expected);
        // The first reply may have been read before the second broke it.
        _ = waiting.await.expect("no panic");
    }
}
