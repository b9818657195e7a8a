//! After the traffic: what the cache holds, compared with the database, value by value.
//!
//! Nobody writes any more, every writer has returned: each cached value must now *equal* what the
//! database says. (While the traffic runs, the [ledger](crate::ledger) says what may be expected.)

use crate::goods::ShopError;
use crate::traffic::World;
use crate::way::{Shop, Way};

/// How many of the most popular products and of the busiest users are compared.
const SAMPLE: u32 = 500;

/// How many values were compared, and how many of them were not what the database says.
#[derive(Default)]
pub(crate) struct Sample {
    pub(crate) compared: u64,
    pub(crate) different: u64,
}

impl Sample {
    fn compare<T: PartialEq>(&mut self, cached: &T, direct: &T) {
        self.compared += 1;
        self.different += u64::from(cached != direct);
    }
}

/// Compares the pages, prices and inventories of products and the orders of users. Not the
/// recommendations: these may be older than the orders of others, by their ttl.
pub(crate) async fn compare(cached: &Shop, world: &World) -> Result<Sample, ShopError> {
    let direct = Shop { way: Way::Direct, ..cached.clone() };
    let mut sample = Sample::default();
    for rank in 1..=SAMPLE.min(world.products.count()) {
        let product = world.products.id(rank);
        let page = cached.product_page(product).await?;
        sample.compare(&page, &direct.product_page(product).await?);
        sample.compare(&cached.price(product).await?, &direct.price(product).await?);
        sample.compare(&cached.inventory(product).await?, &direct.inventory(product).await?);
    }
    for rank in 1..=SAMPLE.min(world.users.count()) {
        let user = world.users.id(rank);
        sample.compare(&cached.orders(user).await?, &direct.orders(user).await?);
    }
    Ok(sample)
}
