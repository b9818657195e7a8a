//! Fills a new database: one transaction, prepared statements.

use std::path::Path;

use fastrand::Rng;
use rusqlite::{Connection, Statement, params};

use crate::popularity::Popularity;
use crate::progress::Progress;

const SCHEMA: &str = "
    CREATE TABLE products (
        id INTEGER PRIMARY KEY, name TEXT NOT NULL, description TEXT NOT NULL,
        category INTEGER NOT NULL, price INTEGER NOT NULL, version INTEGER NOT NULL) STRICT;
    CREATE TABLE inventory (
        product INTEGER PRIMARY KEY, quantity INTEGER NOT NULL, version INTEGER NOT NULL) STRICT;
    CREATE TABLE users (
        id INTEGER PRIMARY KEY, name TEXT NOT NULL, orders INTEGER NOT NULL) STRICT;
    CREATE TABLE orders (
        id INTEGER PRIMARY KEY, user INTEGER NOT NULL, product INTEGER NOT NULL,
        quantity INTEGER NOT NULL, price INTEGER NOT NULL) STRICT;";

const INDEXES: &str = "
    CREATE INDEX products_by_category ON products (category);
    CREATE INDEX orders_by_user ON orders (user);
    CREATE INDEX orders_by_product ON orders (product);";

/// One user for every ten products.
pub(crate) fn users(products: u32) -> u32 {
    products / 10
}

/// How each table gets one row; all numbers are made from the row's own.
struct Rows<'c> {
    product: Statement<'c>,
    inventory: Statement<'c>,
    user: Statement<'c>,
    order: Statement<'c>,
}

/// Fills the new database in `file`; ends early, with nothing kept, when `stopped` says so.
pub(crate) fn fill(
    file: &Path,
    products: u32,
    progress: &mut Progress,
    stopped: impl Fn() -> bool,
) -> rusqlite::Result<()> {
    let mut connection = Connection::open(file)?;
    // Nobody needs a half-filled shop: no journal, no waiting for the disk.
    connection.execute_batch("PRAGMA journal_mode = off; PRAGMA synchronous = off;")?;
    let transaction = connection.transaction()?;
    transaction.execute_batch(SCHEMA)?;
    insert_all(&mut Rows::prepare(&transaction)?, products, |done| {
        progress.show(done, "");
        !stopped()
    })?;
    if stopped() {
        return Ok(());
    }
    transaction.execute_batch(INDEXES)?;
    transaction.commit()
}

/// Inserts every row, as long as `go_on` says so; it is told the share that is done.
fn insert_all(rows: &mut Rows<'_>, products: u32, mut go_on: impl FnMut(f64) -> bool) -> rusqlite::Result<()> {
    let mut rng = Rng::with_seed(0x5eed);
    let popularity = Popularity::new(products);
    let mut orders = vec![0_u32; users(products) as usize];
    for id in 1..=products {
        if id % 1_000 == 0 && !go_on(f64::from(id) / f64::from(products)) {
            return Ok(());
        }
        rows.product(id, &mut rng)?;
        let buyer = rng.u32(1..=users(products));
        rows.order(id, buyer, popularity.id(popularity.rank(&mut rng)))?;
        orders[buyer as usize - 1] += 1;
    }
    for (id, orders) in (1..).zip(orders) {
        rows.user(id, orders)?;
    }
    Ok(())
}

impl<'c> Rows<'c> {
    fn prepare(connection: &'c Connection) -> rusqlite::Result<Self> {
        Ok(Self {
            product: connection.prepare("INSERT INTO products VALUES (?, ?, ?, ?, ?, 1)")?,
            inventory: connection.prepare("INSERT INTO inventory VALUES (?, ?, 1)")?,
            user: connection.prepare("INSERT INTO users VALUES (?, ?, ?)")?,
            order: connection.prepare("INSERT INTO orders VALUES (?, ?, ?, 1, ?)")?,
        })
    }

    fn product(&mut self, id: u32, rng: &mut Rng) -> rusqlite::Result<()> {
        let name = format!("{} {} {id}", pick(rng, &ADJECTIVES), pick(rng, &THINGS));
        let description = format!("The {name} is made to last. ").repeat(6);
        let price = rng.u32(199..=19_999);
        self.product.execute(params![id, name, description, id % 500, price])?;
        self.inventory.execute(params![id, 1_000])?;
        Ok(())
    }

    fn user(&mut self, id: u32, orders: u32) -> rusqlite::Result<()> {
        self.user.execute(params![id, format!("user {id}"), orders])?;
        Ok(())
    }

    fn order(&mut self, id: u32, user: u32, product: u32) -> rusqlite::Result<()> {
        self.order.execute(params![id, user, product, 999])?;
        Ok(())
    }
}

const ADJECTIVES: [&str; 8] = ["small", "large", "red", "blue", "light", "solid", "quiet", "fast"];
const THINGS: [&str; 8] = ["lamp", "chair", "kettle", "tent", "bicycle", "shelf", "radio", "mug"];

fn pick<'a>(rng: &mut Rng, words: &[&'a str]) -> &'a str {
    words[rng.usize(..words.len())]
}
