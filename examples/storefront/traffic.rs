//! The visitors: each client sends one request after the other.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Instant;

use fastrand::Rng;
use tokio::task;

use crate::goods::ShopError;
use crate::ledger::Ledger;
use crate::popularity::Popularity;
use crate::shop;
use crate::tally::Tally;
use crate::way::Shop;

/// What all clients of one phase share.
pub(crate) struct World {
    pub(crate) products: Popularity,
    pub(crate) users: Popularity,
    pub(crate) ledger: Ledger,
    /// Set when the phase is over.
    pub(crate) over: AtomicBool,
    pub(crate) served: AtomicU64,
}

/// One visitor after the other, with a random sequence of its own.
pub(crate) struct Client {
    pub(crate) shop: Shop,
    pub(crate) world: Arc<World>,
    pub(crate) rng: Rng,
    pub(crate) tally: Tally,
}

/// What a visitor does. The first five are pages, the others change something.
enum Request {
    ViewProduct,
    ViewBasket,
    ViewHome,
    ViewOrders,
    PlaceOrder,
    ChangePrice,
}

impl Request {
    /// Of a thousand requests, ten write: seven orders, three new prices.
    fn random(rng: &mut Rng) -> Self {
        match rng.u32(..1_000) {
            0..700 => Self::ViewProduct,
            700..850 => Self::ViewBasket,
            850..920 => Self::ViewHome,
            920..990 => Self::ViewOrders,
            990..997 => Self::PlaceOrder,
            _ => Self::ChangePrice,
        }
    }

    fn writes(&self) -> bool {
        matches!(self, Self::PlaceOrder | Self::ChangePrice)
    }
}

impl Client {
    /// Sends requests until the phase is over.
    pub(crate) async fn run(mut self) -> Tally {
        while !self.world.over.load(Ordering::Relaxed) {
            let request = Request::random(&mut self.rng);
            self.send(&request).await;
            self.world.served.fetch_add(1, Ordering::Relaxed);
            // Where a server would wait for the network, the other clients get their turn.
            task::yield_now().await;
        }
        self.tally
    }

    async fn send(&mut self, request: &Request) {
        let start = Instant::now();
        let answer = match request {
            Request::ViewProduct => self.view_product().await,
            Request::ViewBasket => self.view_basket().await,
            Request::ViewHome => self.view_home().await,
            Request::ViewOrders => self.view_orders().await,
            Request::PlaceOrder => self.place_order().await,
            Request::ChangePrice => self.change_price().await,
        };
        match answer {
            Ok(()) if request.writes() => self.tally.writes.record(start.elapsed()),
            Ok(()) => self.tally.reads.record(start.elapsed()),
            Err(error) => self.tally.fail(&error),
        }
    }

    async fn view_product(&mut self) -> Result<(), ShopError> {
        let product = self.product();
        let floor = self.world.ledger.prices.announced(product);
        let page = self.shop.product_page(product).await?;
        self.tally.check(floor, page.price.version);
        self.check_inventory(product).await
    }

    async fn view_basket(&mut self) -> Result<(), ShopError> {
        for _ in 0..3 {
            let product = self.product();
            let floor = self.world.ledger.prices.announced(product);
            let price = self.shop.price(product).await?;
            self.tally.check(floor, price.version);
            self.check_inventory(product).await?;
        }
        Ok(())
    }

    async fn check_inventory(&mut self, product: u32) -> Result<(), ShopError> {
        let floor = self.world.ledger.stocks.announced(product);
        let stock = self.shop.inventory(product).await?;
        self.tally.check(floor, stock.version);
        Ok(())
    }

    async fn view_home(&mut self) -> Result<(), ShopError> {
        let user = self.user();
        let floor = self.world.ledger.orders.announced(user);
        let recommendations = self.shop.recommendations(user).await?;
        self.tally.check(floor, recommendations.version);
        Ok(())
    }

    async fn view_orders(&mut self) -> Result<(), ShopError> {
        let user = self.user();
        let floor = self.world.ledger.orders.announced(user);
        let orders = self.shop.orders(user).await?;
        self.tally.check(floor, orders.version);
        Ok(())
    }

    /// What is sold out is ordered from the warehouse, for the next visitor.
    async fn place_order(&mut self) -> Result<(), ShopError> {
        let (user, product, quantity) = (self.user(), self.product(), self.rng.u32(1..=3));
        let ledger = &self.world.ledger;
        match shop::place_order(user, product, quantity, &self.shop.db).await {
            Ok(placed) => {
                ledger.stocks.announce(product, placed.stock);
                ledger.orders.announce(user, placed.orders);
            }
            Err(ShopError::SoldOut) => {
                let stock = shop::restock(product, 1_000, &self.shop.db).await?;
                ledger.stocks.announce(product, stock.version);
            }
            Err(error) => return Err(error),
        }
        Ok(())
    }

    async fn change_price(&mut self) -> Result<(), ShopError> {
        let (product, cents) = (self.product(), self.rng.u32(199..=19_999));
        let price = shop::change_price(product, cents, &self.shop.db).await?;
        self.world.ledger.prices.announce(product, price.version);
        Ok(())
    }

    fn product(&mut self) -> u32 {
        let products = &self.world.products;
        let rank = products.rank(&mut self.rng);
        self.tally.views += 1;
        self.tally.top_views += u64::from(products.is_top_fifth(rank));
        products.id(rank)
    }

    fn user(&mut self) -> u32 {
        let users = &self.world.users;
        users.id(users.rank(&mut self.rng))
    }
}
