use cache_runtime::cached;

#[cached(ttl = "5m", key = "fib:<n>", stale_while_revalidate = "1m")]
async fn fib(n: u64) -> u64 {
    if n < 2 { n } else { Box::pin(fib(n - 1)).await + Box::pin(fib(n - 2)).await }
}

struct Factor(u64);

impl Factor {
    #[cached(ttl = "5m", key = "power:<self.0>:<n>", own(self))]
    async fn power(&self, n: u64) -> u64 {
        if n == 0 { 1 } else { self.0 * Box::pin(self.power(n - 1)).await }
    }
}

fn main() {}
