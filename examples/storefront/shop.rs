//! The shop: what it reads is `#[cached]`, what it writes `#[emits]` the events that end it.

use std::sync::Arc;

use cache_runtime::{Event, cached, emits};
use serde::{Deserialize, Serialize};

use crate::db::{Db, Session};
use crate::goods::{Order, Orders, Placed, Price, ProductPage, Recommendations, ShopError, Stock};

/// A product has another price.
#[derive(Event, Serialize, Deserialize)]
pub(crate) struct PriceChanged {
    pub(crate) product: u32,
}

/// There is more or less of a product.
#[derive(Event, Serialize, Deserialize)]
pub(crate) struct InventoryChanged {
    pub(crate) product: u32,
}

/// A user bought something.
#[derive(Event, Serialize, Deserialize)]
pub(crate) struct OrderPlaced {
    pub(crate) user: u32,
    pub(crate) order: i64,
}

/// Changes rarely, is read all the time, is large: long ttl, shared by `Arc`.
#[cached(ttl = "10m", jitter = 10, key = "page:<product>", invalidate_on = "PriceChanged")]
pub(crate) async fn product_page(product: u32, #[cache(skip)] db: &Db) -> Result<Arc<ProductPage>, ShopError> {
    let page = db.read(move |session| {
        let select = "SELECT name, description, price, version, category FROM products WHERE id = ?";
        let page = session.row(select, [product], |row| {
            let price = Price { cents: row.get(2)?, version: row.get(3)? };
            let page = (row.get(0)?, row.get(1)?, price);
            Ok((page, row.get::<_, u32>(4)?))
        })?;
        let ((name, description, price), category) = page.ok_or(ShopError::NotFound)?;
        let similar = session.rows(
            "SELECT id, name FROM products WHERE category = ? AND id > ? ORDER BY id LIMIT 4",
            [category, product],
            |row| Ok((row.get(0)?, row.get(1)?)),
        )?;
        Ok(ProductPage { name, description, price, similar })
    });
    page.await.map(Arc::new)
}

/// What a basket adds up. The same event ends the page that shows the price.
#[cached(ttl = "10m", jitter = 10, key = "price:<product>", invalidate_on = "PriceChanged")]
pub(crate) async fn price(product: u32, #[cache(skip)] db: &Db) -> Result<Price, ShopError> {
    let select = "SELECT price, version FROM products WHERE id = ?";
    let price = db.read(move |session| {
        session.row(select, [product], |row| Ok(Price { cents: row.get(0)?, version: row.get(1)? }))
    });
    price.await?.ok_or(ShopError::NotFound)
}

/// Also counted by a warehouse that sends no events: a short ttl bounds what nobody announced.
#[cached(ttl = "30s", key = "inventory:<product>", invalidate_on = "InventoryChanged")]
pub(crate) async fn inventory(product: u32, #[cache(skip)] db: &Db) -> Result<Stock, ShopError> {
    let select = "SELECT quantity, version FROM inventory WHERE product = ?";
    let stock = db.read(move |session| {
        session.row(select, [product], |row| Ok(Stock { quantity: row.get(0)?, version: row.get(1)? }))
    });
    stock.await?.ok_or(ShopError::NotFound)
}

/// The most expensive query: `own(db)` makes every argument owned, so that a load runs as a task
/// of its own and is finished for the next visitor even if the one who asked has left.
/// The orders of *others* change it too; five minutes are soon enough for those.
#[cached(ttl = "5m", jitter = 20, key = "recommendations:<user>", invalidate_on = "OrderPlaced", skip(db), own(db))]
pub(crate) async fn recommendations(user: u32, db: &Db) -> Result<Arc<Recommendations>, ShopError> {
    let bought_by_those_who_bought_the_same = "
        WITH mine AS (SELECT product FROM orders WHERE user = ?1 ORDER BY id DESC LIMIT 3),
             peers AS (SELECT user FROM orders WHERE product IN mine ORDER BY id DESC LIMIT 30)
        SELECT product, products.name FROM orders JOIN products ON products.id = product
        WHERE user IN peers AND product NOT IN mine
        GROUP BY product ORDER BY count(*) DESC, product LIMIT 8";
    let found = db.read(move |session| {
        let version = orders_placed(session, user)?;
        let products =
            session.rows(bought_by_those_who_bought_the_same, [user], |row| Ok((row.get(0)?, row.get(1)?)))?;
        Ok(Recommendations { products, version })
    });
    found.await.map(Arc::new)
}

/// What "my orders" shows.
#[cached(ttl = "10m", jitter = 10, key = "orders:<user>", invalidate_on = "OrderPlaced")]
pub(crate) async fn orders(user: u32, #[cache(skip)] db: &Db) -> Result<Arc<Orders>, ShopError> {
    let select = "
        SELECT id, product, quantity, price FROM orders WHERE user = ? ORDER BY id DESC LIMIT 10";
    let found = db.read(move |session| {
        let version = orders_placed(session, user)?;
        let latest = session.rows(select, [user], |row| {
            let (id, product) = (row.get(0)?, row.get(1)?);
            Ok(Order { id, product, quantity: row.get(2)?, cents: row.get(3)? })
        })?;
        Ok(Orders { latest, version })
    });
    found.await.map(Arc::new)
}

/// An admin sets a price.
#[emits(PriceChanged { product })]
pub(crate) async fn change_price(product: u32, cents: u32, db: &Db) -> Result<Price, ShopError> {
    let update = "
        UPDATE products SET price = ?2, version = version + 1 WHERE id = ?1 RETURNING version";
    let version = db.write(move |session| session.row(update, [product, cents], |row| row.get(0)));
    let version = version.await?.ok_or(ShopError::NotFound)?;
    Ok(Price { cents, version })
}

/// A user buys. Nothing is announced when there is not enough left: `Err` emits nothing.
///
/// # Cancel safety
/// Dropped after the commit, it announces nothing either. A server whose clients hang up runs its
/// writers as tasks of their own.
#[emits(InventoryChanged { product }, OrderPlaced { user, order: result.order })]
pub(crate) async fn place_order(user: u32, product: u32, quantity: u32, db: &Db) -> Result<Placed, ShopError> {
    let take = "
        UPDATE inventory SET quantity = quantity - ?2, version = version + 1
        WHERE product = ?1 AND quantity >= ?2 RETURNING version";
    let insert = "
        INSERT INTO orders (user, product, quantity, price)
        SELECT ?1, id, ?3, price FROM products WHERE id = ?2 RETURNING id";
    let count = "UPDATE users SET orders = orders + 1 WHERE id = ? RETURNING orders";
    let placed = db.write(move |session| {
        let stock = session.row(take, [product, quantity], |row| row.get(0))?;
        let stock = stock.ok_or(ShopError::SoldOut)?;
        let order = session.row(insert, [user, product, quantity], |row| row.get(0))?;
        let order = order.ok_or(ShopError::NotFound)?;
        let orders = session.row(count, [user], |row| row.get(0))?.ok_or(ShopError::NotFound)?;
        Ok(Placed { order, stock, orders })
    });
    placed.await
}

/// The warehouse sends more.
#[emits(InventoryChanged { product })]
pub(crate) async fn restock(product: u32, quantity: u32, db: &Db) -> Result<Stock, ShopError> {
    let update = "
        UPDATE inventory SET quantity = quantity + ?2, version = version + 1
        WHERE product = ?1 RETURNING quantity, version";
    let stock = db.write(move |session| {
        session.row(update, [product, quantity], |row| Ok(Stock { quantity: row.get(0)?, version: row.get(1)? }))
    });
    stock.await?.ok_or(ShopError::NotFound)
}

fn orders_placed(session: &Session<'_>, user: u32) -> Result<u32, ShopError> {
    let count = session.row("SELECT orders FROM users WHERE id = ?", [user], |row| row.get(0))?;
    count.ok_or(ShopError::NotFound)
}
