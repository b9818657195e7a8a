//! All routes that this process knows: its own and those it has read. What was seen once is not forgotten: entries of a
//! version may outlive its last process.

use std::any::Any;
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use crate::event::Unread;
use crate::function::{Function, Route};
use crate::key::HashKey;
use crate::routes::event::EventJson;
use crate::routes::json::Unusable;
use crate::routes::plan::{Happened, Named, Plan};
use crate::routes::record::{Record, Subscription};

/// More than any application has; what goes beyond is not read.
const MOST: usize = 1 << 16;

/// The routes known to one cache.
#[derive(Debug)]
pub(crate) struct Table {
    app: String,
    hash_key: HashKey,
    known: RwLock<Arc<Known>>,
    /// What has been warned of.
    warned: Mutex<HashSet<String>>,
}

#[derive(Clone, Debug, Default)]
struct Known {
    /// What [`Table::absorb`] has read last.
    version: Option<String>,
    /// In an order, so that what is sent is always the same.
    records: BTreeMap<String, Arc<Record>>,
    /// Those that an event of this name concerns.
    events: HashMap<String, Vec<Arc<Record>>>,
    /// Of all functions.
    versions: BTreeSet<u32>,
    /// How many functions of this process are in here.
    linked: usize,
}

impl Known {
    /// Adds a record, or the link to this process's function to one that was read before.
    fn insert(&mut self, field: String, record: Record) {
        if self.records.get(&field).is_some_and(|known| record.linked.is_none() || known.linked.is_some()) {
            return;
        }
        if record.linked.is_none() && self.records.len() >= MOST {
            return;
        }
        self.versions.insert(record.version);
        let record = Arc::new(record);
        let replaced = self.records.insert(field, Arc::clone(&record));
        if let Some(Subscription { event, .. }) = &record.subscription {
            let records = self.events.entry(event.clone()).or_default();
            records.retain(|known| replaced.as_ref().is_none_or(|replaced| !Arc::ptr_eq(known, replaced)));
            records.push(record);
        }
    }
}

impl Table {
    pub(crate) fn new(app: &str, hash_key: HashKey) -> Self {
        Self { app: app.to_owned(), hash_key, known: RwLock::default(), warned: Mutex::default() }
    }

    /// Adds the functions of this process; true when there was one that others have not been told of.
    pub(crate) fn link(&self, functions: &[&'static Function]) -> bool {
        if self.known().linked == functions.len() {
            return false;
        }
        self.change(|known| {
            for function in functions {
                let routes = function.spec().routes.iter().map(Some);
                for record in routes.chain([None]).map(|route| Record::of(function, route)) {
                    known.insert(record.field(), record);
                }
            }
            known.linked = functions.len();
        });
        true
    }

    /// The routes of this process, as they are to stand in Redis.
    pub(crate) fn fields(&self) -> Vec<(String, String)> {
        let known = self.known();
        let linked = known.records.iter().filter(|(_, record)| record.linked.is_some());
        linked.map(|(field, record)| (field.clone(), record.value())).collect()
    }

    /// Adds what stands in Redis, read at this version.
    pub(crate) fn absorb(&self, version: Option<String>, fields: &[(String, String)]) {
        let known = self.known();
        let unknown = fields.iter().filter(|(field, _)| !known.records.contains_key(field));
        let read: Vec<_> = unknown.filter_map(|(field, value)| self.read(field, value)).collect();
        self.change(|known| {
            known.version = version;
            for (field, record) in read {
                known.insert(field, record);
            }
        });
    }

    /// The version of the routes that were read last.
    pub(crate) fn version(&self) -> Option<String> {
        self.known().version.clone()
    }

    /// Whether any known function listens to events of this name.
    pub(crate) fn listens_to(&self, event: &str) -> bool {
        self.known().events.contains_key(event)
    }

    /// What the keys begin with of each known function that listens to events of this name.
    pub(crate) fn prefixes(&self, event: &str) -> BTreeSet<String> {
        let known = self.known();
        let records = known.events.get(event).into_iter().flatten();
        let subscriptions = records.filter_map(|record| record.subscription.as_ref());
        subscriptions.map(|subscription| subscription.prefix().to_owned()).collect()
    }

    /// What an event makes invalid, in every known function and version.
    ///
    /// Who tells of an event without linking the function has rendered its key from JSON alone. Where that is another
    /// text than the event itself gives, both are named.
    pub(crate) fn plan(&self, event: &Happened<'_>) -> Plan {
        let known = self.known();
        let mut plan = Plan { version: known.version.clone(), ..Plan::default() };
        let Some(records) = known.events.get(event.name) else { return plan };
        let json = EventJson::read(event.json);
        let unread = Unread::new(event.json);
        for record in records {
            let Some(subscription) = &record.subscription else { continue };
            let rendered = json.text(&subscription.keys, &self.hash_key);
            let typed = match event.value {
                Some(value) => self.typed(record, value),
                None => self.typed_again(record, &unread),
            };
            if let Some(text) = typed.filter(|typed| rendered.as_ref() != Ok(typed)) {
                self.warn_of_spelling(record, &text, &rendered);
                plan.spell(&text);
                // Who reads the text alone knows no function for it.
                let versions = known.versions.iter().copied().chain([record.version]);
                plan.add(Named::new(&self.app, text, subscription.prefix(), versions));
                plan.functions.extend(record.linked.map(|(function, _)| function));
                if event.value.is_some() {
                    continue;
                }
            }
            match rendered {
                Ok(text) => {
                    plan.functions.extend(record.linked.map(|(function, _)| function));
                    plan.add(Named::new(&self.app, text, subscription.prefix(), [record.version]));
                }
                Err(why) => {
                    self.warn_of_event(record, event.name, &why);
                    plan.unusable.push(why);
                }
            }
        }
        plan
    }

    /// What these texts of keys and groups name, in every known version.
    pub(crate) fn plan_texts(&self, texts: impl IntoIterator<Item = String>) -> Plan {
        let known = self.known();
        let mut seen = HashSet::new();
        let mut plan = Plan { version: known.version.clone(), ..Plan::default() };
        for text in texts {
            if seen.insert(text.clone()) {
                let prefix = head(&text).to_owned();
                plan.named.push(Named::new(&self.app, text, &prefix, known.versions.iter().copied()));
            }
        }
        plan
    }

    /// What this text of this function names.
    pub(crate) fn plan_key(&self, function: &'static Function, text: String) -> Plan {
        let prefix = match function.spec().pieces.first() {
            Some(crate::key::Piece::Literal(literal)) => *literal,
            Some(crate::key::Piece::Value(_)) | None => "",
        };
        let known = self.known();
        let own = std::iter::once(function.spec().version).filter(|version| !known.versions.contains(version));
        let versions = known.versions.iter().copied().chain(own);
        let named = Named::new(&self.app, text, prefix, versions);
        Plan { named: vec![named], functions: vec![function], version: known.version.clone(), ..Plan::default() }
    }

    /// The beginnings of all names in Redis of texts that begin like this.
    pub(crate) fn sweeps(&self, prefix: &str) -> Vec<String> {
        let known = self.known();
        let entries = known.versions.iter().map(|version| format!("{}:v{version}:{prefix}", self.app));
        let all = entries.chain([format!("{}:group:{prefix}", self.app)]);
        all.map(|name| crate::names::head(&name).to_owned()).collect()
    }

    /// The text that the event itself gives, where this process links the function.
    fn typed(&self, record: &Record, event: &dyn Any) -> Option<String> {
        let route: &Route = record.linked?.1?;
        route.text_of(event, &self.hash_key)
    }

    /// The same of an event that somebody has told of. Its own code may panic, and who reads the bus goes on.
    fn typed_again(&self, record: &Record, event: &Unread) -> Option<String> {
        catch_unwind(AssertUnwindSafe(|| self.typed(record, event))).ok().flatten()
    }

    fn read(&self, field: &str, value: &str) -> Option<(String, Record)> {
        match Record::read(field, value) {
            Ok(record) => Some((field.to_owned(), record)),
            Err(why) => {
                if self.is_news(field) {
                    tracing::warn!(field, %why, "a route of another process is left out: its keys are not invalidated by events of this one");
                }
                None
            }
        }
    }

    fn warn_of_spelling(&self, record: &Record, key: &str, rendered: &Result<String, Unusable>) {
        let route = record.field();
        if self.is_news(&format!("{route} (spelling)")) {
            let json = rendered.as_ref().map_or_else(Unusable::to_string, String::clone);
            tracing::warn!(
                route,
                key,
                json,
                "the key of this event is another one than its JSON shows: for publishers that do not link the function, it is invalid only when a process that links it has read their message"
            );
        }
    }

    fn warn_of_event(&self, record: &Record, event: &str, why: &Unusable) {
        if self.is_news(&record.field()) {
            tracing::warn!(route = record.field(), event, %why, "an event names no key of a function that listens to it");
        }
    }

    /// Whether this is to be warned of for the first time. What is remembered is bounded like the routes.
    fn is_news(&self, field: &str) -> bool {
        let mut warned = self.warned.lock().unwrap_or_else(PoisonError::into_inner);
        warned.len() < MOST && warned.insert(field.chars().take(256).collect())
    }

    fn known(&self) -> Arc<Known> {
        Arc::clone(&self.known.read().unwrap_or_else(PoisonError::into_inner))
    }

    fn change(&self, change: impl FnOnce(&mut Known)) {
        let mut known = self.known.write().unwrap_or_else(PoisonError::into_inner);
        change(Arc::make_mut(&mut known));
    }
}

/// The beginning of a text up to its first separator: many keys share it.
fn head(text: &str) -> &str {
    let end = text.find([':', '/', '=', '@', '|', '+', '<', '*']).unwrap_or(text.len());
    &text[..end]
}
