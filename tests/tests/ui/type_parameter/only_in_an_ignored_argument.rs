use std::marker::PhantomData;

use cache_runtime::{Cache, cached};

pub trait Entity {
    const TABLE: &'static str;
}

#[cached(ttl = "5m", key = "row:<id>")]
pub async fn row<T: Entity>(id: u64, _: PhantomData<T>) -> String {
    format!("{}/{id}", T::TABLE)
}

pub trait Shard {
    fn cache(&self) -> Cache;
}

#[cached(ttl = "5m", key = "sharded:<id>", cache = shard.cache())]
pub async fn sharded<T: Entity, S: Shard>(id: u64, shard: &S, #[cache(skip)] _: PhantomData<T>) -> String {
    format!("{} of {}", id, std::any::type_name::<S>())
}

fn main() {}
