//! The shortest thing that works: annotate a function, call it, take the value back.

use cache_runtime::{Cache, Error, cached};

#[cached(ttl = "5m", key = "greeting:<name>")]
async fn greeting(name: &str) -> String {
    println!("(the body runs for {name})");
    format!("Hello, {name}!")
}

#[tokio::main]
async fn main() -> Result<(), Error> {
    Cache::builder("hello").build().await?.install()?;

    println!("{}", greeting("Ada").await);
    println!("{}", greeting("Ada").await); // from the cache
    println!("{}", greeting("Grace").await); // another key

    let receipt = greeting_entry("Ada").invalidate().await?;
    println!("taken back: {:?}", receipt.delivery());
    println!("{}", greeting("Ada").await); // the body runs again
    Ok(())
}
