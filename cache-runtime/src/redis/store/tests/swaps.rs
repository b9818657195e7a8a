//! Fills by `SET .. IFEQ`. What the tests' server does not have, a translator before it does; a server that has it is
//! asked itself besides.

use std::io::{Read, Write};
use std::net::Shutdown;
use std::os::unix::net::UnixListener;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use super::together::{self, Held};
use super::*;
use crate::redis::packed::Packed;
use crate::redis::pipe::frames::{self, Frames};
use crate::redis::swap::{Swap, is_told};
use crate::store::Ended;
use crate::sync::lock;

const ENTRY: &str = "shop:v1:user:42:7";

/// What `SET KEYS[1] ARGV[1] PX ARGV[2] IFEQ ARGV[3]` is.
const SWAP: &str = "local old = redis.call('GET', KEYS[1])
    redis.call('SET', '{' .. KEYS[1] .. '}:room', '', 'PX', 1)
    if old ~= ARGV[3] then return false end
    return redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])";

/// The server's information, as one of this version tells it.
const INFORMATION: &str =
    "return (string.gsub(redis.call('INFO', 'server'), '(%a+_version):[%d.]+', '%1:' .. ARGV[1]))";

/// Stands before a server, and speaks for it.
#[derive(Default)]
struct Translator {
    /// The server says that it has swaps.
    tells: AtomicBool,
    /// It does them.
    does: AtomicBool,
    /// How many it was asked for.
    asked: AtomicUsize,
    /// It does not do scripts any more.
    is_silent: AtomicBool,
    streams: Mutex<Vec<UnixStream>>,
}

impl Translator {
    fn start(server: &Server) -> Arc<Self> {
        let translator = Arc::new(Self::default());
        translator.set(true, true);
        let listener = UnixListener::bind(server.directory.path().join("t")).expect("a socket");
        let (this, server) = (Arc::clone(&translator), server.directory.path().join("s"));
        std::thread::spawn(move || {
            for client in listener.incoming() {
                let (Ok(client), Ok(server)) = (client, UnixStream::connect(&server)) else { return };
                this.begin(client, server);
            }
        });
        translator
    }

    /// From now on the server says that it has swaps, and has them.
    fn set(&self, tells: bool, does: bool) {
        self.tells.store(tells, Ordering::SeqCst);
        self.does.store(does, Ordering::SeqCst);
    }

    fn asked(&self) -> usize {
        self.asked.load(Ordering::SeqCst)
    }

    /// All connections end.
    fn cut(&self) {
        for stream in lock(&self.streams).drain(..) {
            _ = stream.shutdown(Shutdown::Both);
        }
    }

    fn begin(self: &Arc<Self>, client: UnixStream, server: UnixStream) {
        let copy = |stream: &UnixStream| stream.try_clone().expect("a socket can be shared");
        lock(&self.streams).extend([copy(&client), copy(&server)]);
        let (mut from, mut to) = (copy(&server), copy(&client));
        std::thread::spawn(move || {
            _ = std::io::copy(&mut from, &mut to);
            _ = to.shutdown(Shutdown::Both);
        });
        let this = Arc::clone(self);
        std::thread::spawn(move || this.translate(client, server));
    }

    fn translate(&self, mut client: UnixStream, mut server: UnixStream) {
        let (mut unread, mut piece) = (Vec::new(), [0; 4_096]);
        while let Ok(length @ 1..) = client.read(&mut piece) {
            unread.extend_from_slice(&piece[..length]);
            let mut sent = Packed::default();
            while let Ok(Some(end)) = Frames::new().next(&unread) {
                self.add(&words(&unread[..end]), &mut sent);
                unread.drain(..end);
            }
            if server.write_all(sent.bytes()).is_err() {
                break;
            }
        }
        _ = server.shutdown(Shutdown::Both);
    }

    fn add(&self, words: &[Vec<u8>], sent: &mut Packed) {
        let words: Vec<&[u8]> = words.iter().map(Vec::as_slice).collect();
        match words.as_slice() {
            [b"INFO", b"server"] => {
                let version: &[u8] = if self.tells.load(Ordering::SeqCst) { b"8.4.0" } else { b"7.0.15" };
                sent.add([b"EVAL".as_slice(), INFORMATION.as_bytes(), b"0", version]);
            }
            [b"SET", key, new, b"PX", life, b"IFEQ", old] => {
                self.asked.fetch_add(1, Ordering::SeqCst);
                if self.does.load(Ordering::SeqCst) {
                    sent.add([b"EVAL", SWAP.as_bytes(), b"1", key, new, life, old]);
                } else {
                    // What no server has.
                    sent.add([b"SET".as_slice(), key, new, b"PX", life, b"IF", old]);
                }
            }
            [b"EVALSHA", ..] if self.is_silent.load(Ordering::SeqCst) => {}
            _ => sent.add(words),
        }
    }
}

fn words(command: &[u8]) -> Vec<Vec<u8>> {
    match frames::value(command) {
        Ok(Value::Array(words)) => {
            words.into_iter().map(|word| reply::bytes(word, "a word").expect("words are strings")).collect()
        }
        other => panic!("no command: {other:?}"),
    }
}

/// A server with swaps: one by way of a translator; and the tests' own, if it has them.
async fn worlds() -> Vec<(World, Option<Arc<Translator>>)> {
    let server = Server::start();
    let translator = Translator::start(&server);
    let store = Store::open(server.settings_at("t")).await.expect("a server");
    let mut worlds = vec![(World { store, server }, Some(translator))];
    let own = World::new().await;
    let information = together::information(&own, "server").await;
    if is_told(&information) {
        worlds.push((own, None));
    } else {
        eprintln!("the tests' server has no `SET .. IFEQ`: only the translated one is asked");
    }
    worlds
}

async fn translated() -> (World, Arc<Translator>) {
    let (world, translator) = worlds().await.remove(0);
    (world, translator.expect("the first one is translated"))
}

/// A fill of this lease, and whether it was held.
async fn fill(world: &World, token: Token) -> Result<Ended, Fault> {
    world.store.end(ENTRY, token, Ending::Fill(&value(token, b"envelope"), LIFE), &[]).await
}

const HELD: Ended = Ended { held: true, stamps: Vec::new() };
const LOST: Ended = Ended { held: false, stamps: Vec::new() };

#[tokio::test]
async fn a_fill_needs_no_script() {
    for (world, translator) in worlds().await {
        let (token, _) = world.take(ENTRY, &[]).await;
        let filled = world.fill(ENTRY, token).await;
        assert_eq!(world.bytes(ENTRY).await, Some(filled.clone()));
        let remaining = world.remaining(ENTRY).await;
        assert!(remaining <= LIFE && remaining > LIFE / 2, "{remaining:?}");
        assert_eq!(together::scripts_run(&world).await, 0);
        assert!(translator.is_none_or(|translator| translator.asked() == 1));
        // A lease fills once, and what it filled is its own no more.
        for ending in [Ending::Fill(&value(token, b"again"), LIFE), Ending::Release, Ending::CoolDown(LIFE)] {
            assert_eq!(world.store.end(ENTRY, token, ending, &[]).await, Ok(LOST), "{ending:?}");
        }
        assert_eq!(world.bytes(ENTRY).await, Some(filled));
    }
}

#[tokio::test]
async fn whose_placeholder_is_gone_fills_nothing() {
    for (world, _) in worlds().await {
        let (token, _) = world.take(ENTRY, &[]).await;
        world.command(&[&"UNLINK", &ENTRY]).await;
        assert_eq!(fill(&world, token).await, Ok(LOST));
        assert!(!world.exists(ENTRY).await);
        let (other, _) = world.take(ENTRY, &[]).await;
        assert_eq!(fill(&world, token).await, Ok(LOST));
        assert_eq!(world.bytes(ENTRY).await, Some(slot_bytes("L0", other)), "it is another's");
        world.command(&[&"UNLINK", &ENTRY]).await;
        world.command(&[&"HSET", &ENTRY, &"f", &"v"]).await;
        assert_eq!(fill(&world, token).await, Ok(LOST), "no string at all");
    }
}

#[tokio::test]
async fn who_waits_for_a_fill_is_woken() {
    for (world, _) in worlds().await {
        let other = world.other("b2").await;
        let (token, _) = world.take(ENTRY, &[]).await;
        let wake = other.waker(ENTRY);
        leases::subscribed(&world, ENTRY).await;
        assert_eq!(other.watch(ENTRY, token).await, Ok(Slot::Lease(token)));
        assert_eq!(fill(&world, token).await, Ok(HELD));
        // Nothing but the server's message ends it: who polls does that beside it.
        tokio::time::timeout(Duration::from_secs(10), wake).await.expect("a wake-up");
        assert_eq!(world.bytes(ENTRY).await, Some(value(token, b"envelope")));
        assert_eq!(together::scripts_run(&world).await, 2, "one marks, one fills and wakes");
    }
}

#[tokio::test]
async fn what_there_is_no_room_for_leaves_an_empty_slot() {
    for (world, _) in worlds().await {
        let held = together::take_all(&world.store).await;
        world.use_up_memory().await;
        for ended in together::fill_all(&world.store, &held).await {
            check_refused(ended, Refusal::OutOfMemory);
        }
        assert_eq!(together::slots(&world.store, &held).await, vec![Slot::Empty; held.len()]);
    }
}

#[tokio::test]
async fn fills_of_one_moment_go_out_together_and_each_has_its_own_outcome() {
    for (world, translator) in worlds().await {
        together::each_has_its_own_outcome(&world.store, async |revoked| {
            together::unlink(&world, &revoked).await;
        })
        .await;
        let scripts = together::scripts_run(&world).await;
        assert!((1..=together::MANY / 10).contains(&scripts), "{scripts} scripts for those that were lost");
        assert!(translator.is_none_or(|translator| translator.asked() == together::MANY));
    }
}

/// Some leases end without a value in the same moment.
#[tokio::test]
async fn whatever_else_ends_beside_fills_has_its_own_outcome_too() {
    for (world, _) in worlds().await {
        let held = together::take_all(&world.store).await;
        let ended = together::end_all(&world.store, &held, |number, value| match number % 3 {
            0 => Ending::Fill(value, LIFE),
            1 => Ending::Release,
            _ => Ending::CoolDown(LIFE),
        });
        assert_eq!(ended.await, vec![Ok(HELD); held.len()]);
        let expected = |(number, held): (usize, &Held)| match number % 3 {
            0 => Slot::Value(held.value().into()),
            1 => Slot::Empty,
            _ => Slot::CoolDown(held.token),
        };
        let expected: Vec<_> = held.iter().enumerate().map(expected).collect();
        assert_eq!(together::slots(&world.store, &held).await, expected);
    }
}

/// A server may tell one thing and do another: an older one behind a proxy, or after its address or a slot has moved.
#[tokio::test]
async fn a_server_that_refuses_them_is_not_asked_again_over_the_same_connection() {
    let (world, translator) = translated().await;
    translator.set(true, false);
    for number in 0..6 {
        let (token, _) = world.take(ENTRY, &[]).await;
        assert_eq!(fill(&world, token).await, Ok(HELD), "{number}");
        assert_eq!(world.bytes(ENTRY).await, Some(value(token, b"envelope")), "{number}");
        world.command(&[&"UNLINK", &ENTRY]).await;
    }
    assert_eq!(translator.asked(), 2, "once for each connection");
}

#[tokio::test]
async fn a_connection_that_is_made_anew_leads_to_what_its_server_has() {
    let (world, translator) = translated().await;
    for (tells, does, swaps) in
        [(false, false, 0), (true, true, 1), (true, false, 1), (true, true, 1), (false, true, 0)]
    {
        translator.set(tells, does);
        reconnect(&world, &translator).await;
        let (before, (token, _)) = (translator.asked(), world.take(ENTRY, &[]).await);
        assert_eq!(fill(&world, token).await, Ok(HELD), "{tells} {does}");
        assert_eq!(translator.asked() - before, swaps, "{tells} {does}");
        assert_eq!(world.bytes(ENTRY).await, Some(value(token, b"envelope")));
        world.command(&[&"UNLINK", &ENTRY]).await;
    }
}

/// All connections are others than before.
async fn reconnect(world: &World, translator: &Translator) {
    let generation = world.store.servers().generation();
    let before = *generation.borrow();
    translator.cut();
    // Those of the pool, that of the bus and the ear.
    crate::redis::real::until("four connections", async || *generation.borrow() - before, |new| *new >= 4).await;
}

#[tokio::test]
async fn a_server_that_does_not_tell_is_not_asked() {
    let world = World::new().await;
    if is_told(&together::information(&world, "server").await) {
        eprintln!("the tests' server has `SET .. IFEQ`: what one without it is asked is not seen");
        return;
    }
    let errors = together::information(&world, "errorstats").await;
    let (token, _) = world.take(ENTRY, &[]).await;
    assert_eq!(fill(&world, token).await, Ok(HELD));
    assert_eq!(together::scripts_run(&world).await, 1);
    assert_eq!(together::information(&world, "errorstats").await, errors, "it was asked for what it refuses");
}

/// The server itself, and not by a translator: it answers what is expected of it, or that it does not know it.
#[tokio::test]
async fn the_server_knows_swaps_or_says_that_it_does_not() {
    let world = World::new().await;
    let has_them = is_told(&together::information(&world, "server").await);
    for (old, expected) in [(&b"one"[..], Value::Okay), (b"one", Value::Nil), (b"", Value::Nil)] {
        if old == b"one" && expected == Value::Okay {
            world.command(&[&"SET", &ENTRY, &"one"]).await;
        }
        let mut packed = Packed::default();
        Swap { key: ENTRY, old, new: b"two", life: b"60000" }.add_to(&mut packed);
        let reply = world.store.servers().packed(HashSlot::default(), &packed).await.expect("an answer").remove(0);
        if has_them {
            assert_eq!(reply, Ok(expected));
        } else {
            assert_eq!(reply, Err(Fault::Refused(Refusal::Other, "ERR syntax error".to_owned())));
        }
    }
}

/// One that answers slowly, and then not at all: both commands have the time of one operation.
#[tokio::test]
async fn a_fill_that_takes_two_commands_takes_no_longer_than_one() {
    let server = Server::start();
    let translator = Translator::start(&server);
    let mut settings = server.settings_at("t");
    settings.servers.op_timeout = Duration::from_secs(4);
    let world = World { store: Store::open(settings).await.expect("a server"), server };
    let (token, _) = world.take(ENTRY, &[]).await;
    assert_eq!(world.store.watch(ENTRY, token).await, Ok(Slot::Lease(token)));
    translator.is_silent.store(true, Ordering::SeqCst);
    // The server answers nothing for most of the time that there is.
    let mut pause = Cmd::new();
    pause.arg("CLIENT").arg("PAUSE").arg(2_500).arg("WRITE");
    world.store.servers().bus_command(&pause).await.expect("it pauses");
    let began = Instant::now();
    assert_eq!(fill(&world, token).await, Err(Fault::Timeout));
    let took = began.elapsed();
    assert!(took < Duration::from_millis(5_500), "{took:?}: not both after one another");
}
