//! What happens, act by act.

use std::error::Error;
use std::process::ExitCode;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use cache_runtime::{Cache, Delivery, Receipt};
use tempfile::TempDir;
use tokio::time::{self, Interval, MissedTickBehavior};

use crate::database::Database;
use crate::log::{Change, Function, Log};
use crate::member::{Member, locked};
use crate::proxy::Proxy;
use crate::redis_server::RedisServer;
use crate::report::{self, took};
use crate::serve::ITEMS;
use crate::shop::PriceChanged;
use crate::{LEASE, MAX_STALENESS, clock};

type Outcome<T> = Result<T, Box<dyn Error>>;

/// The longest that anything here waits for all processes.
const EVERYWHERE: Duration = Duration::from_secs(10);

/// The whole fleet, and the shop's back office, which changes prices.
struct Fleet {
    a: Member,
    b: Member,
    c: Member,
    /// Between B and Redis.
    proxy: Proxy,
    office: Office,
    log: Arc<Mutex<Log>>,
    _server: RedisServer,
    _folder: TempDir,
}

/// Changes prices and announces them: a fourth process, which reads none.
struct Office {
    cache: Cache,
    database: Database,
    log: Arc<Mutex<Log>>,
}

/// The whole run; fails if a price was served that was older than promised.
pub(crate) async fn run() -> Outcome<ExitCode> {
    let mut fleet = Fleet::start().await?;
    fleet.one_load_for_all().await?;
    fleet.prices_change().await?;
    fleet.one_is_killed().await?;
    fleet.one_loses_the_bus().await?;
    fleet.hear_all().await?;
    let log = locked(&fleet.log);
    report::table(&log, &['A', 'B', 'C']);
    Ok(report::verdict(&log))
}

impl Fleet {
    async fn start() -> Outcome<Self> {
        let (server, folder, log) = (RedisServer::start()?, TempDir::with_prefix("fleet-")?, Arc::default());
        let proxy = Proxy::start(server.port()).await?;
        let start = |name, url| Member::start(name, url, folder.path(), &log);
        let (direct, through_proxy) = (server.url(), proxy.url());
        let (a, b, c) = tokio::try_join!(start('A', &direct), start('B', &through_proxy), start('C', &direct))?;
        let office = Office::open(&direct, Database::open(folder.path()), Arc::clone(&log)).await?;
        println!(
            "Processes A, B and C over one Redis {}; max_staleness {}, lease {}.",
            server.version(),
            took(MAX_STALENESS),
            took(LEASE)
        );
        Ok(Self { a, b, c, proxy, office, log, _server: server, _folder: folder })
    }

    async fn one_load_for_all(&mut self) -> Outcome<()> {
        println!("\n1. All three ask for one cold key at the same moment.");
        let loads = [self.a.loads(), self.b.loads(), self.c.loads()];
        let Self { a, b, c, .. } = self;
        let (a, b, c) = tokio::try_join!(a.ask_for("report 1"), b.ask_for("report 1"), c.ask_for("report 1"))?;
        for (name, served) in [('A', a), ('B', b), ('C', c)] {
            println!("   {name}  price {}  {:<6}  after {}", served.number, served.from.name(), took(served.took));
        }
        println!("   loads in all: {}", loads.iter().map(|loads| *loads.borrow()).sum::<u64>());
        Ok(())
    }

    async fn prices_change(&mut self) -> Outcome<()> {
        println!("\n2. Forty prices change.");
        let first = locked(&self.log).changes.len();
        let mut publishing = Vec::new();
        let mut ticks = every(Duration::from_millis(20));
        for item in ITEMS.into_iter().cycle().take(40) {
            ticks.tick().await;
            publishing.push(self.office.change(item).await?.1);
        }
        publishing.sort_unstable();
        println!("   publish() took {} at the median, {} at most", took(publishing[20]), took(publishing[39]));
        self.hear_all().await?;
        for name in ['A', 'B', 'C'] {
            let seen = locked(&self.log).last_seen(name, Function::Price, first);
            println!("   {name}  {}", report::after(seen));
        }
        println!("   everywhere() took {}", took(self.office.change_everywhere(ITEMS[0]).await?));
        let (receipt, _) = self.office.change(ITEMS[0]).await?;
        let token = receipt.token().ok_or("an applied event has a token")?;
        let (asked, changed) = (format!("price-after {token} {}", ITEMS[0]), self.office.database.price(ITEMS[0])?);
        let served = self.b.ask_for(&asked).await?;
        println!(
            "   B, given the token of price {changed}, is served price {} ({})",
            served.number,
            served.from.name()
        );
        if served.number < changed { Err("a read after the token was served an older price".into()) } else { Ok(()) }
    }

    async fn one_is_killed(&mut self) -> Outcome<()> {
        println!("\n3. C is killed while it loads; A asks for the same key.");
        let mut loads = self.c.loads();
        let before = *loads.borrow_and_update();
        let answer = self.c.begin("report 2").await?;
        time::timeout(EVERYWHERE, loads.wait_for(|now| *now > before)).await??;
        self.c.kill().await?;
        println!(
            "   C  {}",
            if answer.await.is_ok() { "had answered already" } else { "is dead, and has not answered" }
        );
        let served = self.a.ask_for("report 2").await?;
        let (number, from, took) = (served.number, served.from.name(), took(served.took));
        println!("   A  price {number}  {from}  after {took}: the lease of C had to end first");
        Ok(())
    }

    async fn one_loses_the_bus(&mut self) -> Outcome<()> {
        println!("\n4. B loses the bus, and nothing else; prices go on changing.");
        self.proxy.cut_bus();
        let (first, cut) = (locked(&self.log).changes.len(), clock::now());
        let mut ticks = every(Duration::from_millis(50));
        for item in ITEMS.into_iter().cycle().take(8) {
            ticks.tick().await;
            self.office.change(item).await?;
        }
        let waited = self.office.change_everywhere(ITEMS[0]).await?;
        println!("   everywhere() took {}: B had to lose the right to serve from memory", took(waited));
        for item in ITEMS.into_iter().cycle().take(8) {
            ticks.tick().await;
            self.office.change(item).await?;
        }
        let mended = clock::now();
        self.proxy.mend_bus();
        while self.b.ask("serves-from-memory").await? != "true" {
            ticks.tick().await;
        }
        let serves_again = clock::now();
        self.hear_all().await?;
        let log = locked(&self.log);
        for name in ['A', 'B'] {
            println!("   {name}  {}", report::after(log.last_seen(name, Function::Price, first)));
        }
        let during = log.reads_of('B', Function::Price).filter(|read| read.began > cut && read.began < mended);
        println!("   B was served {}", report::sources(during));
        println!(
            "   B serves from memory again {} after the bus was mended",
            took(serves_again.saturating_sub(mended))
        );
        Ok(())
    }

    /// Everything that the living have been served until now is in the log when they have answered.
    async fn hear_all(&mut self) -> Outcome<()> {
        for member in [&mut self.a, &mut self.b] {
            member.ask("serves-from-memory").await?;
        }
        Ok(())
    }
}

/// Ticks with at least so much between them.
fn every(pause: Duration) -> Interval {
    let mut ticks = time::interval(pause);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    ticks
}

impl Office {
    async fn open(url: &str, database: Database, log: Arc<Mutex<Log>>) -> Outcome<Self> {
        // Patience instead of an event that waits in the journal: this is to measure what `publish` promises.
        let builder = Cache::builder("fleet").redis(url).op_timeout(Duration::from_secs(5)).require_redis(true);
        Ok(Self { cache: builder.max_staleness(MAX_STALENESS).build().await?, database, log })
    }

    /// The next price of this item: committed, then announced. How long the announcement took.
    async fn change(&self, item: u32) -> Outcome<(Receipt, Duration)> {
        let number = self.database.change_price(item)?;
        let began = clock::now();
        let receipt = self.cache.publish(&PriceChanged { item }).await?;
        let announced = self.note(item, number, &receipt, false)?;
        Ok((receipt, announced.saturating_sub(began)))
    }

    /// The same, and every process has heard of it or serves nothing from memory.
    async fn change_everywhere(&self, item: u32) -> Outcome<Duration> {
        let number = self.database.change_price(item)?;
        let began = clock::now();
        let receipt = self.cache.publish(&PriceChanged { item }).everywhere(EVERYWHERE).await?;
        Ok(self.note(item, number, &receipt, true)?.saturating_sub(began))
    }

    fn note(&self, item: u32, number: u64, receipt: &Receipt, everywhere: bool) -> Outcome<Duration> {
        let announced = clock::now();
        if receipt.delivery() != Delivery::Applied {
            return Err("Redis did not take an event in time".into());
        }
        locked(&self.log).changes.push(Change { item, number, announced, everywhere });
        Ok(announced)
    }
}
