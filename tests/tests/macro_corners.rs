//! What users write and no example shows.

use cache_runtime::cached;
use cache_tests::cache;

trait Database: Send + Sync + 'static {
    type Error: Send + 'static;

    fn get(&self, id: u64) -> Result<u64, Self::Error>;
}

struct Doubling;

impl Database for Doubling {
    type Error = String;

    fn get(&self, id: u64) -> Result<u64, String> {
        if id == 0 { Err("nothing".to_owned()) } else { Ok(id * 2) }
    }
}

trait Loader {
    type Error;

    async fn load(&self, id: u64) -> Result<u64, Self::Error>;
}

#[async_trait::async_trait]
trait BoxedLoader {
    type Error;

    async fn load_boxed(&self, id: u64) -> Result<u64, Self::Error>;
}

struct Repository<D> {
    shop: u64,
    database: D,
}

impl<D: Database> Loader for Repository<D> {
    type Error = D::Error;

    #[cached(ttl = "1m", key = "loader:<self.shop>:<id>", companions = off)]
    async fn load(&self, id: u64) -> Result<u64, D::Error> {
        self.database.get(id)
    }
}

#[async_trait::async_trait]
impl<D: Database> BoxedLoader for Repository<D> {
    type Error = D::Error;

    #[cached(ttl = "1m", key = "boxed-loader:<self.shop>:<id>")]
    async fn load_boxed(&self, id: u64) -> Result<u64, D::Error> {
        self.database.get(id)
    }
}

#[tokio::test]
async fn an_error_may_be_that_of_a_parameter() {
    let repository = Repository { shop: 1, database: Doubling };
    cache()
        .await
        .scope(async {
            for _ in 0..2 {
                assert_eq!(repository.load(3).await, Ok(6));
                assert_eq!(repository.load_boxed(3).await, Ok(6));
                assert!(repository.load(0).await.is_err());
            }
        })
        .await;
}
