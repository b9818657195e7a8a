use cache_runtime::{Event, emits};
use serde::{Deserialize, Serialize};

#[derive(Event, Serialize, Deserialize)]
pub struct UserUpdated {
    pub tenant: u64,
    pub id: u64,
}

pub struct Token(u64);

#[emits(UserUpdated { tenant: user.0, id: user.0 })]
pub async fn rename(user: Token) -> Result<(), String> {
    Err(format!("{}", user.0))
}

fn main() {}
