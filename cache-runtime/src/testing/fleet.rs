//! Several caches in one test that behave like as many processes.

use std::io;
use std::net::{SocketAddr, ToSocketAddrs};
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::builder::Builder;
use crate::cache::Cache;
use crate::testing::{FaultProxy, Recorder, RedisServer};
use crate::timer;

/// How long a cache may take to read the bus for the first time.
const PATIENCE: Duration = Duration::from_secs(10);

/// The application of a fleet's caches, unless it is told another: the first part of every key and of the names of their
/// connections.
pub const APP: &str = "test";

/// Some caches over one server that behave like as many processes: each has an in-process tier and connections of its own,
/// which go through a [`FaultProxy`] of its own. What the network does to one is its own matter.
///
/// Each names its connections `<app>:bus` (the bus), `<app>:pool` (reads, fills, invalidations), `<app>:ear` (wake-ups) and
/// `<app>:scout`: see [`FaultProxy::named`].
///
/// # Examples
///
/// ```standalone_crate
/// use cache_runtime::testing::{Fault, Fleet};
/// use cache_runtime::{Event, cached};
/// use serde::{Deserialize, Serialize};
/// use std::sync::atomic::{AtomicU64, Ordering};
/// use std::time::Duration;
///
/// #[derive(Event, Serialize, Deserialize)]
/// struct Raised {
///     id: u64,
/// }
///
/// static SOURCE: AtomicU64 = AtomicU64::new(1);
///
/// #[cached(ttl = "1m", key = "level:<id>", invalidate_on = "Raised")]
/// async fn level(id: u64) -> u64 {
///     SOURCE.load(Ordering::SeqCst)
/// }
///
/// # tokio_test(async {
/// let fleet = Fleet::start(2).await?;
/// assert_eq!(fleet.cache(0).scope(level(7)).await, 1);
/// assert_eq!(fleet.cache(1).scope(level(7)).await, 1); // from the second tier
///
/// // The second process hears nothing more of the others.
/// fleet.proxy(1).named("test:bus").both(Fault::Hold);
/// SOURCE.store(2, Ordering::SeqCst);
/// let told = fleet.cache(0).publish(&Raised { id: 7 }).everywhere(Duration::from_secs(10)).await;
/// told.map_err(std::io::Error::other)?;
/// assert_eq!(fleet.cache(1).scope(level(7)).await, 2); // it knows that it hears nothing
/// # Ok::<(), std::io::Error>(())
/// # });
/// # fn tokio_test(future: impl Future<Output = std::io::Result<()>>) {
/// #     let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
/// #     runtime.block_on(future).expect("there is a redis-server");
/// # }
/// ```
#[derive(Debug)]
pub struct Fleet {
    // In the order of their ends: no cache outlives its network, no network its server.
    caches: Vec<Cache>,
    proxies: Vec<FaultProxy>,
    server: Option<Arc<RedisServer>>,
}

impl Fleet {
    /// As many processes over a server that is started for them.
    ///
    /// # Errors
    ///
    /// If there is no `redis-server` or it does not start; see [`RedisServer::start`].
    ///
    /// # Cancel safety
    ///
    /// Dropping the future ends what was started.
    pub async fn start(processes: usize) -> io::Result<Self> {
        Self::start_with(processes, |builder| builder).await
    }

    /// The same, with caches that are set up like this. Which server they use is the fleet's own: [`Builder::redis`] has no
    /// effect.
    ///
    /// # Errors
    ///
    /// If there is no `redis-server`, it does not start, or the settings mean nothing.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future ends what was started.
    pub async fn start_with(processes: usize, set: impl Fn(Builder) -> Builder) -> io::Result<Self> {
        let server = RedisServer::start()?;
        let fleet = Self::over_with(&server.url(), processes, set).await?;
        Ok(Self { server: Some(Arc::new(server)), ..fleet })
    }

    /// As many processes over the server with this URL, which is left as it is when the fleet ends.
    ///
    /// # Errors
    ///
    /// If the URL is no `redis://[user:password@]host[:port][/db]`, or the server is not there.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future ends what was started.
    pub async fn over(url: &str, processes: usize) -> io::Result<Self> {
        Self::over_with(url, processes, |builder| builder).await
    }

    /// The same, with caches that are set up like this. Which server they use is the fleet's own: [`Builder::redis`] has no
    /// effect.
    ///
    /// # Errors
    ///
    /// As [`Fleet::over`], or if the settings mean nothing.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future ends what was started.
    pub async fn over_with(url: &str, processes: usize, set: impl Fn(Builder) -> Builder) -> io::Result<Self> {
        let address = Address::parse(url)?;
        let mut fleet = Self { caches: Vec::new(), proxies: Vec::new(), server: None };
        for _ in 0..processes {
            let proxy = FaultProxy::start(address.server)?;
            let builder = set(Cache::builder(APP)).redis(address.by_way_of(proxy.address()));
            let cache = builder.build().await.map_err(|error| io::Error::other(error.to_string()))?;
            fleet.proxies.push(proxy);
            fleet.caches.push(cache);
        }
        fleet.all_serve().await?;
        Ok(fleet)
    }

    /// How many processes there are.
    #[must_use]
    pub fn processes(&self) -> usize {
        self.caches.len()
    }

    /// The cache of the process with this number, from 0.
    ///
    /// # Panics
    ///
    /// If there are not so many.
    #[must_use]
    #[track_caller]
    pub fn cache(&self, process: usize) -> &Cache {
        &self.caches[process]
    }

    /// The network between the process with this number, from 0, and the server.
    ///
    /// # Panics
    ///
    /// If there are not so many.
    #[must_use]
    #[track_caller]
    pub fn proxy(&self, process: usize) -> &FaultProxy {
        &self.proxies[process]
    }

    /// The server that was started for the fleet, if it was.
    #[must_use]
    pub fn server(&self) -> Option<&RedisServer> {
        self.server.as_deref()
    }

    /// The same for a thread that changes it while the fleet runs.
    pub(super) fn shared_server(&self) -> Option<Arc<RedisServer>> {
        self.server.clone()
    }

    /// What all processes do from here on, counted together.
    #[must_use]
    pub fn recorder(&self) -> Recorder {
        Recorder::over(&self.caches)
    }

    /// Waits until all processes serve from their in-process tiers, as after a network that was mended.
    ///
    /// # Errors
    ///
    /// If one does not within 10 seconds.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future changes nothing.
    pub async fn all_serve(&self) -> io::Result<()> {
        let begun = Instant::now();
        for (number, cache) in self.caches.iter().enumerate() {
            while !cache.health().serves_near() {
                if begun.elapsed() > PATIENCE {
                    let health = cache.health();
                    return Err(io::Error::other(format!("process {number} does not read the bus: {health}")));
                }
                timer::sleep(Duration::from_millis(2)).await;
            }
        }
        Ok(())
    }
}

/// A URL, divided where a proxy comes in between.
struct Address {
    /// What stands before the host.
    before: String,
    server: SocketAddr,
    /// What stands after the port.
    after: String,
}

impl Address {
    fn parse(url: &str) -> io::Result<Self> {
        // The URL is not quoted: a password may be anywhere in it.
        let wrong = || io::Error::other("a fleet wants a URL like `redis://[user:password@]host[:port][/db]`");
        let rest = url.strip_prefix("redis://").ok_or_else(wrong)?;
        let (authority, after) = rest.find(['/', '?']).map_or((rest, ""), |end| rest.split_at(end));
        let (login, host) = authority.rfind('@').map_or(("", authority), |end| authority.split_at(end + 1));
        let has_port = host.rsplit_once(':').is_some_and(|(_, port)| port.parse::<u16>().is_ok());
        let host = if has_port { host.to_owned() } else { format!("{host}:6379") };
        let server = host.to_socket_addrs()?.next().ok_or_else(wrong)?;
        Ok(Self { before: format!("redis://{login}"), server, after: after.to_owned() })
    }

    fn by_way_of(&self, proxy: SocketAddr) -> String {
        format!("{}{proxy}{}", self.before, self.after)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(url: &str, by_way_of_a_proxy: &str, server: &str) {
        let address = Address::parse(url).expect("it is a URL");
        let proxy = SocketAddr::from(([127, 0, 0, 1], 1));
        assert_eq!(
            (address.by_way_of(proxy).as_str(), address.server.to_string().as_str()),
            (by_way_of_a_proxy, server)
        );
    }

    #[test]
    fn only_host_and_port_make_way_for_the_proxy() {
        check("redis://127.0.0.1:7000", "redis://127.0.0.1:1", "127.0.0.1:7000");
        check("redis://127.0.0.1/3", "redis://127.0.0.1:1/3", "127.0.0.1:6379");
        check("redis://shop:s%40cret@127.0.0.1:7000/0", "redis://shop:s%40cret@127.0.0.1:1/0", "127.0.0.1:7000");
        check("redis://[::1]:7000", "redis://127.0.0.1:1", "[::1]:7000");
        check("redis://[::1]", "redis://127.0.0.1:1", "[::1]:6379");
    }

    #[test]
    fn what_is_not_one_server_by_tcp_is_refused() {
        for url in ["unix:///tmp/socket", "redis-cluster://127.0.0.1", "rediss://127.0.0.1", "127.0.0.1:6379"] {
            assert!(Address::parse(url).is_err(), "{url}");
        }
    }

    #[test]
    fn a_refusal_tells_no_password() {
        for url in [
            "rediss://shop:s3cret@127.0.0.1",
            "redis-sentinel://127.0.0.1/shop?sentinel_password=s3cret",
            "shop:s3cret@127.0.0.1:6379",
        ] {
            let refusal = Address::parse(url).err().expect("it is no URL of one server by TCP").to_string();
            assert!(!refusal.contains("s3cret"), "{refusal}");
        }
    }
}
