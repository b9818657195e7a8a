use cache_runtime::cached;

#[derive(Clone)]
pub struct User {
    pub name: String,
}

#[cached(ttl = "5m", key = "user:<id>")]
pub async fn load_user(id: u64) -> Result<Option<User>, String> {
    Ok(Some(User { name: id.to_string() }))
}

fn main() {}
