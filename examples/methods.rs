//! Methods: what of `self` is part of the identity stands in the key, the rest is skipped.

use cache_runtime::{Cache, Error, cached};

/// A weather station. Stations of one region tell the same weather.
#[derive(Clone)]
struct Station {
    region: &'static str,
    /// Not part of the identity.
    name: &'static str,
}

impl Station {
    /// `<self.region>`: two stations of one region share a value, two regions do not.
    #[cached(ttl = "10m", key = "temperature:<self.region>:<day>")]
    async fn temperature(&self, day: u32) -> u32 {
        println!("  ({} measures the temperature of day {day})", self.name);
        if self.region == "coast" { 20 } else { 12 }
    }

    /// `own(self)`: the station is cloned for a load, which then runs as a task of its own and is
    /// finished for whoever waits, even if the caller who began it leaves.
    #[cached(ttl = "10m", key = "forecast:<self.region>", own(self))]
    async fn forecast(&self) -> String {
        println!("  ({} makes the forecast)", self.name);
        format!("rain for the {}", self.region)
    }
}

trait Sunshine {
    async fn sunshine(&self, day: u32) -> u32;
}

impl Sunshine for Station {
    /// In the `impl` of a trait no other item may stand: `companions = off` leaves out
    /// `sunshine_uncached` and `sunshine_entry`.
    #[cached(ttl = "1h", key = "sunshine:<self.region>:<day>", companions = off)]
    async fn sunshine(&self, day: u32) -> u32 {
        println!("  ({} counts the sunshine of day {day})", self.name);
        day + 2
    }
}

async fn ask(station: &Station) {
    println!("{}, {}:", station.name, station.region);
    println!("  {} degrees", station.temperature(1).await);
    println!("  {}", station.forecast().await);
    println!("  {} hours of sun", station.sunshine(1).await);
}

#[tokio::main]
async fn main() -> Result<(), Error> {
    Cache::builder("methods").build().await?.install()?;

    let pier = Station { region: "coast", name: "pier" };
    ask(&pier).await;
    ask(&Station { region: "coast", name: "lighthouse" }).await;
    ask(&Station { region: "alps", name: "hut" }).await;

    // The companions are methods too.
    println!("{}:", pier.temperature_entry(1).key());
    println!("  {} degrees, not asking the cache", pier.temperature_uncached(1).await);
    Ok(())
}
