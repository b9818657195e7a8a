use cache_runtime::{Event, emits};
use serde::{Deserialize, Serialize};

#[derive(Event, Serialize, Deserialize)]
pub struct UserUpdated {
    pub tenant: u64,
    pub id: u64,
}

pub struct Users {
    pub tenant: u64,
}

impl Users {
    #[emits(UserUpdated { tenant: self.tenant, id })]
    pub async fn rename(&mut self, id: u64) -> Result<(), String> {
        self.tenant += id;
        Ok(())
    }
}

fn main() {}
