use cache_runtime::cached;
use serde::{Deserialize, Serialize};

#[derive(Clone, Serialize, Deserialize)]
pub struct User {
    pub name: std::rc::Rc<str>,
}

#[cached(ttl = "5m", key = "user:<id>")]
pub async fn load_user(id: u64) -> Option<User> {
    Some(User { name: id.to_string().into() })
}

fn main() {}
