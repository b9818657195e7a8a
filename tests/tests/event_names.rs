//! `build()` refuses two event types of one name: other processes could not tell them apart.

use cache_runtime::{Cache, Event};
use serde::{Deserialize, Serialize};

#[derive(Event, Serialize, Deserialize)]
struct UserUpdated {
    id: u64,
}

mod other {
    #[derive(cache_runtime::Event, serde::Serialize, serde::Deserialize)]
    #[event(name = "UserUpdated")]
    pub(super) struct Changed {
        pub(super) id: u64,
    }
}

#[tokio::test]
async fn two_events_of_one_name_are_refused() {
    assert_eq!((UserUpdated { id: 1 }.id, other::Changed { id: 2 }.id), (1, 2));
    let message = Cache::builder("test").build().await.expect_err("one name, two types").to_string();
    for part in ["`UserUpdated`", "event_names::UserUpdated", "event_names::other::Changed", "#[event(name"] {
        assert!(message.contains(part), "{message}");
    }
}
