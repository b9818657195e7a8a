use cache_runtime::Event;

#[derive(Event)]
pub struct UserUpdated {
    pub id: u64,
}

fn main() {}
