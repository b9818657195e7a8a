//! Settings from environment variables: one table, which documentation and errors follow.

use std::env::VarError;
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
    ("CACHE_HASH_KEY", |builder, text| Ok(builder.hash_key(secret(text)?))),
    ("CACHE_MAX_STALENESS", |builder, text| Ok(builder.max_staleness(time(text)?))),
    ("CACHE_OP_TIMEOUT", |builder, text| Ok(builder.op_timeout(time(text)?))),
    ("CACHE_POOL_SIZE", |builder, text| Ok(builder.pool_size(number(text, "connections")?))),
    ("CACHE_REQUIRE_REDIS", |builder, text| Ok(builder.require_redis(truth(text)?))),
    ("CACHE_MIN_REPLICAS", |builder, text| Ok(builder.min_replicas(number(text, "replicas")?))),
    ("CACHE_CODEC", |builder, text| Ok(builder.codec(codec(text)?))),
];

/// Settings from variables; `read` is the environment. Empty variables are like missing ones.
pub(crate) fn builder(read: impl Fn(&str) -> Result<String, VarError>) -> Result<Builder, Error> {
    let value = |name| value(name, read(name));
    let mut builder = Builder::new(value("CACHE_APP")?.unwrap_or_else(|| "app".to_owned()));
    for (name, set) in VARIABLES {
        if let Some(text) = value(name)? {
            builder = set(builder, &text).map_err(|problem| Error::Setting { name, problem })?;
        }
    }
    Ok(builder)
}

/// What a variable says, if anything.
fn value(name: &'static str, read: Result<String, VarError>) -> Result<Option<String>, Error> {
    let text = match read {
        Ok(text) => text,
        Err(VarError::NotPresent) => return Ok(None),
        Err(VarError::NotUnicode(_)) => {
            return Err(Error::Setting { name, problem: "its value is not UTF-8".to_owned() });
        }
    };
    // A program that sets the secret by hand would not take white space from it.
    let text = if name == "CACHE_HASH_KEY" { text } else { text.trim().to_owned() };
    Ok(Some(text).filter(|text| !text.is_empty()))
}

/// White space alone is no secret, but somebody meant to give one.
fn secret(text: &str) -> Result<&[u8], String> {
    match text.trim() {
        "" => Err("it holds white space only; write a secret, or leave the variable empty for none".to_owned()),
        _ => Ok(text.as_bytes()),
    }
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
    use std::ffi::OsString;

    use super::*;

    fn from(variables: &[(&str, &str)]) -> Result<Builder, Error> {
        builder(|name| {
            let found = variables.iter().find(|(key, _)| *key == name);
            found.map(|(_, value)| (*value).to_owned()).ok_or(VarError::NotPresent)
        })
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

    #[test]
    fn what_is_not_utf_8_is_no_missing_variable() {
        for unreadable in ["CACHE_APP", "CACHE_URL", "CACHE_HASH_KEY"] {
            let found = VarError::NotUnicode(OsString::from("swordfish"));
            let error = builder(|name| Err(if name == unreadable { found.clone() } else { VarError::NotPresent }));
            let message = error.expect_err("it is no setting").to_string();
            assert_eq!(message, format!("`{unreadable}`: its value is not UTF-8"));
        }
    }

    #[test]
    fn white_space_belongs_to_the_secret_and_to_nothing_else() {
        let builder =
            from(&[("CACHE_APP", " shop\n"), ("CACHE_LOAD_TIMEOUT", " 2s "), ("CACHE_HASH_KEY", " secret\n")]);
        let builder = builder.expect("all are well formed");
        assert_eq!((builder.app.as_str(), builder.load_timeout), ("shop", Duration::from_secs(2)));
        assert_eq!(builder.hash_key.map(|secret| secret.0), Some(b" secret\n".to_vec()));
    }

    #[test]
    fn an_empty_secret_is_like_a_missing_one_and_a_blank_one_is_a_mistake() {
        let empty = from(&[("CACHE_HASH_KEY", ""), ("CACHE_URL", " ")]).expect("both are like missing ones");
        assert!(empty.hash_key.is_none() && empty.second.url.is_none());
        check(&[("CACHE_HASH_KEY", " \n")], "`CACHE_HASH_KEY`: it holds white space only");
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
