//! Settings from environment variables: one table, which documentation and errors follow.

use std::time::Duration;

use cache_spec::duration;

use crate::builder::Builder;
use crate::codec::Codec;
use crate::error::Error;

type Set = fn(Builder, &str) -> Result<Builder, String>;

/// Every variable, and how it changes the settings. `CACHE_APP` comes first: it names the rest.
const VARIABLES: &[(&str, Set)] = &[
    ("CACHE_URL", |builder, text| Ok(builder.redis(text))),
    ("CACHE_L1_BYTES", |builder, text| Ok(builder.l1_capacity(number(text, "bytes")?))),
    ("CACHE_LOAD_TIMEOUT", |builder, text| Ok(builder.load_timeout(time(text)?))),
    ("CACHE_HASH_KEY", |builder, text| Ok(builder.hash_key(text.as_bytes()))),
    ("CACHE_MAX_STALENESS", |builder, text| Ok(builder.max_staleness(time(text)?))),
    ("CACHE_OP_TIMEOUT", |builder, text| Ok(builder.op_timeout(time(text)?))),
    ("CACHE_POOL_SIZE", |builder, text| Ok(builder.pool_size(number(text, "connections")?))),
    ("CACHE_REQUIRE_REDIS", |builder, text| Ok(builder.require_redis(truth(text)?))),
    ("CACHE_MIN_REPLICAS", |builder, text| Ok(builder.min_replicas(number(text, "replicas")?))),
    ("CACHE_CODEC", |builder, text| Ok(builder.codec(codec(text)?))),
];

/// Settings from variables; `read` is the environment. Empty variables are like missing ones.
pub(crate) fn builder(read: impl Fn(&str) -> Option<String>) -> Result<Builder, Error> {
    let read = |name: &str| read(name).filter(|text| !text.trim().is_empty());
    let mut builder = Builder::new(read("CACHE_APP").unwrap_or_else(|| "app".to_owned()));
    for (name, set) in VARIABLES {
        if let Some(text) = read(name) {
            builder = set(builder, text.trim()).map_err(|problem| Error::Setting { name, problem })?;
        }
    }
    Ok(builder)
}

fn number<N: std::str::FromStr>(text: &str, of: &str) -> Result<N, String> {
    text.parse().map_err(|_| format!("`{text}` is no number of {of}; write digits only, as in `67108864`"))
}

fn time(text: &str) -> Result<Duration, String> {
    duration::parse(text).map_err(|mistake| mistake.to_string())
}

fn codec(text: &str) -> Result<Codec, String> {
    text.parse().map_err(|error: Error| match error {
        Error::Setting { problem, .. } => problem,
        other => other.to_string(),
    })
}

fn truth(text: &str) -> Result<bool, String> {
    match text {
        "1" | "true" | "yes" => Ok(true),
        "0" | "false" | "no" => Ok(false),
        other => Err(format!("`{other}` is neither `true` nor `false`")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn from(variables: &[(&str, &str)]) -> Result<Builder, Error> {
        let find = |name: &str| variables.iter().find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned());
        builder(find)
    }

    #[track_caller]
    fn check(variables: &[(&str, &str)], message: &str) {
        let error = from(variables).expect_err("a mistake is an error");
        assert!(error.to_string().contains(message), "{error}");
    }

    #[test]
    fn variables_are_read() {
        let builder = from(&[
            ("CACHE_APP", "shop"),
            ("CACHE_L1_BYTES", "1024"),
            ("CACHE_LOAD_TIMEOUT", "2s"),
            ("CACHE_URL", "redis://localhost"),
            ("CACHE_MAX_STALENESS", "500ms"),
            ("CACHE_REQUIRE_REDIS", "true"),
        ]);
        let text = format!("{:?}", builder.expect("all are well formed"));
        for part in ["\"shop\"", "l1_capacity: 1024", "load_timeout: 2s", "max_staleness: 500ms", "require: true"] {
            assert!(text.contains(part), "{part} in {text}");
        }
    }

    #[test]
    fn mistakes_name_the_variable() {
        check(&[("CACHE_L1_BYTES", "64MB")], "`CACHE_L1_BYTES`: `64MB` is no number of bytes");
        check(&[("CACHE_LOAD_TIMEOUT", "soon")], "`CACHE_LOAD_TIMEOUT`");
        check(&[("CACHE_POOL_SIZE", "-1")], "`CACHE_POOL_SIZE`: `-1` is no number of connections");
        check(&[("CACHE_REQUIRE_REDIS", "maybe")], "`CACHE_REQUIRE_REDIS`: `maybe` is neither");
        check(&[("CACHE_CODEC", "yaml")], "`CACHE_CODEC`");
    }

    #[tokio::test]
    async fn a_server_that_is_required_and_not_named_is_a_mistake() {
        for (variable, value, name) in
            [("CACHE_REQUIRE_REDIS", "true", "require_redis"), ("CACHE_MIN_REPLICAS", "1", "min_replicas")]
        {
            for url in [&[][..], &[("CACHE_URL", "")], &[("CACHE_URL", " ")]] {
                let builder = from(&[url, &[(variable, value)]].concat()).expect("each is well formed");
                let error = builder.build().await.expect_err("there is no server").to_string();
                assert_eq!(error, format!("`{name}`: no server is named; name one with `.redis(url)` or `CACHE_URL`"));
            }
        }
        let builder = from(&[("CACHE_REQUIRE_REDIS", "false"), ("CACHE_MIN_REPLICAS", "0")]);
        builder.expect("each is well formed").build().await.expect("nothing is required");
    }
}
