//! Domain events: named, without a version, self-describing.

use std::any::Any;
use std::cell::OnceCell;
use std::panic::{AssertUnwindSafe, catch_unwind};

use serde::Serialize;
use serde::de::DeserializeOwned;

/// Something that happened in the domain, by which cached values become invalid.
///
/// Derive it beside serde's traits; other processes and other languages know it by its name.
///
/// # Examples
///
/// ```
/// use cache_runtime::Event;
/// use serde::{Deserialize, Serialize};
///
/// #[derive(Event, Serialize, Deserialize)]
/// pub struct UserUpdated {
///     pub tenant: u64,
///     pub id: u64,
/// }
///
/// #[derive(Event, Serialize, Deserialize)]
/// #[event(name = "tenant.purged")]
/// pub struct TenantPurged {
///     pub tenant: u64,
/// }
///
/// assert_eq!(UserUpdated::NAME, "UserUpdated");
/// assert_eq!(TenantPurged::NAME, "tenant.purged");
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not an event",
    label = "no `Event`",
    note = "add `#[derive(cache_runtime::Event, serde::Serialize, serde::Deserialize)]` to it"
)]
pub trait Event: Serialize + DeserializeOwned + Send + Sync + 'static {
    /// The name by which every process knows this event: the type's own, unless `#[event(name = "..")]` says otherwise.
    const NAME: &'static str;
}

/// What the link-time registry knows of an event type.
#[derive(Clone, Copy, Debug)]
pub struct RegisteredEvent {
    /// [`Event::NAME`].
    pub name: &'static str,
    /// The type's name in its module.
    pub type_name: &'static str,
    /// The names of its fields.
    pub fields: &'static [&'static str],
    /// The module it is declared in.
    pub module: &'static str,
    /// The file it is declared in.
    pub file: &'static str,
    /// The line it is declared on.
    pub line: u32,
}

inventory::collect!(RegisteredEvent);

/// An event of which only the JSON is at hand. Whoever knows its type reads it, once for all routes.
#[derive(Debug)]
pub(crate) struct Unread {
    json: Vec<u8>,
    event: OnceCell<Option<Box<dyn Any>>>,
}

impl Unread {
    pub(crate) fn new(json: &[u8]) -> Self {
        Self { json: json.to_owned(), event: OnceCell::new() }
    }

    /// The event, if this is the JSON of one of this type.
    pub(crate) fn read<E: Event>(&self) -> Option<&E> {
        let read = || Some(Box::new(serde_json::from_slice::<E>(&self.json).ok()?) as Box<dyn Any>);
        self.event.get_or_init(read).as_ref()?.downcast_ref()
    }
}

/// What an event does when it is dropped is its own: who reads the bus goes on all the same.
impl Drop for Unread {
    fn drop(&mut self) {
        let event = self.event.take();
        if catch_unwind(AssertUnwindSafe(|| drop(event))).is_err() {
            tracing::warn!("the `Drop` of an event panicked");
        }
    }
}

impl RegisteredEvent {
    pub(crate) fn place(&self) -> String {
        format!("`{}::{}` ({}:{})", self.module, self.type_name, self.file, self.line)
    }
}
