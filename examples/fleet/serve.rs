//! One process of the fleet: reads a few prices again and again, says what it got, and answers the questions that come
//! on its standard input.

use std::error::Error;
use std::path::Path;
use std::time::Duration;

use cache_runtime::{Cache, Token, explain};
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::time;

use crate::database::Database;
use crate::log::Source;
use crate::shop::{price, report, total};
use crate::{LEASE, MAX_STALENESS, clock};

/// The items whose prices are read all the time.
pub(crate) const ITEMS: [u32; 2] = [1, 2];

/// Between two readings. With less, three processes and a server would wait for each other's processor time.
const PACE: Duration = Duration::from_millis(2);

/// Serves until there are no more questions.
pub(crate) async fn run(url: &str, folder: &str) -> Result<(), Box<dyn Error>> {
    let cache = Cache::builder("fleet").redis(url).max_staleness(MAX_STALENESS).lease(LEASE).require_redis(true);
    // Ten times the default: this shows what the protocol does, not what a busy machine does.
    cache.op_timeout(Duration::from_secs(1)).build().await?.install()?;
    let database = Database::open(Path::new(folder));
    println!("ready");
    let reading = tokio::spawn(read_on(database.clone()));
    let mut questions = BufReader::new(tokio::io::stdin()).lines();
    while let Some(question) = questions.next_line().await? {
        tokio::spawn(answer(question, database.clone()));
    }
    reading.abort();
    Ok(())
}

async fn read_on(database: Database) {
    let mut ticks = time::interval(PACE);
    loop {
        ticks.tick().await;
        for item in ITEMS {
            println!("read price {item} {}", seen(price(item, &database)).await);
            println!("read total {item} {}", seen(total(item, &database)).await);
        }
    }
}

/// What a call returned, from where, when it began and how long it took.
async fn seen<E: std::fmt::Display>(call: impl Future<Output = Result<u64, E>>) -> String {
    let began = clock::now();
    let (number, lookups) = explain(call).await;
    let took = clock::now().saturating_sub(began).as_nanos();
    match number {
        Ok(number) => {
            let source = Source::of(lookups[0].outcome()).name();
            format!("{number} {source} {} {took}", began.as_nanos())
        }
        Err(error) => format!("failed {error}"),
    }
}

/// `<number of the question> <question>`.
async fn answer(question: String, database: Database) {
    let words: Vec<_> = question.split(' ').collect();
    let (number, text) = match words[..] {
        [number, "report", item] => (number, seen(report(parsed(item), &database)).await),
        [number, "price-after", token, item] => {
            let token: Token = token.parse().expect("it was printed by a token");
            let reading = seen(price(parsed(item), &database));
            (number, Cache::current().after(&token).scope(reading).await)
        }
        [number, "serves-from-memory"] => (number, Cache::current().health().serves_near().to_string()),
        _ => panic!("`{question}` is no question"),
    };
    println!("answer {number} {text}");
}

fn parsed(item: &str) -> u32 {
    item.parse().expect("an item is a number")
}
