//! What servers and connections say, in our words.

use redis::{RedisError, ServerError, Value};

use crate::fault::{Fault, Refusal};

/// The reply, unless it is an error.
pub(super) fn checked(reply: Value) -> Result<Value, Fault> {
    match reply {
        Value::ServerError(error) => Err(refused(&error)),
        reply => Ok(reply),
    }
}

fn refused(error: &ServerError) -> Fault {
    let text = match error.details() {
        Some(details) => format!("{} {details}", error.code()),
        None => error.code().to_owned(),
    };
    Fault::Refused(refusal(error.code(), &text), text)
}

/// The table of error codes.
fn refusal(code: &str, text: &str) -> Refusal {
    match code {
        "OOM" => Refusal::OutOfMemory,
        "READONLY" => Refusal::ReadOnly,
        "LOADING" | "MASTERDOWN" | "CLUSTERDOWN" | "TRYAGAIN" | "BUSY" => Refusal::NotReady,
        "MISCONF" | "NOREPLICAS" => Refusal::WritesStopped,
        "WRONGTYPE" => Refusal::WrongType,
        "NOAUTH" | "WRONGPASS" | "NOPERM" => Refusal::Credentials,
        // What a script says of the command that failed in it.
        "ERR" if text.contains("OOM command") => Refusal::OutOfMemory,
        "ERR" if text.contains("WRONGTYPE") => Refusal::WrongType,
        "ERR" if text.contains("AUTH") && text.contains("password") => Refusal::Credentials,
        _ => Refusal::Other,
    }
}

/// What a failed connection or reply means.
pub(super) fn fault_of(error: &RedisError) -> Fault {
    if error.kind() == redis::ErrorKind::AuthenticationFailed {
        return Fault::Refused(Refusal::Credentials, error.to_string());
    }
    match error.code() {
        Some(code) if !error.is_io_error() => {
            let text = error.to_string();
            Fault::Refused(refusal(code, &text), text)
        }
        _ => Fault::Broken(error.to_string()),
    }
}
