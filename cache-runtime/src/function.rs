//! What is known of a cached function before it is called: its descriptor, made by the attribute.

use std::any::{Any, TypeId};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::Duration;

use crate::key::{Draft, HashKey, Parts, PatternPiece, Piece, key_draft, pattern_draft};

/// A cached function: one static for each attribute.
#[derive(Debug)]
pub struct Function {
    spec: Spec,
    /// Its number in the registry, from 1; 0 until it is registered.
    number: AtomicU32,
    grouped: bool,
    /// The `Self` of its first call, where it has one.
    owner: OnceLock<&'static str>,
    /// Whether it was told that it is not cached for all who call it.
    told: AtomicBool,
}

const fn has_group(routes: &[Route]) -> bool {
    let mut route = 0;
    while route < routes.len() {
        let pieces = routes[route].pieces;
        let mut piece = 0;
        while piece < pieces.len() {
            if matches!(pieces[piece], PatternPiece::Any) {
                return true;
            }
            piece += 1;
        }
        route += 1;
    }
    false
}

/// Whether a closure is part of the type with this name, and not only around the place where it was declared, as the body of
/// an `async fn` is. All closures of one function have one name.
fn has_closure(this: &str) -> bool {
    this.split("{{closure}}").skip(1).any(|rest| !rest.starts_with("::"))
}

/// What the attribute says, in the words of the runtime.
#[derive(Debug)]
pub struct Spec {
    /// The function's name.
    pub name: &'static str,
    /// The module it stands in.
    pub module: &'static str,
    /// The file it stands in.
    pub file: &'static str,
    /// The line of its name.
    pub line: u32,
    /// The key template as written.
    pub template: &'static str,
    /// The template's pieces.
    pub pieces: &'static [Piece],
    /// Part of the key in every tier.
    pub version: u32,
    /// How long a value is fresh, in milliseconds.
    pub ttl_millis: u64,
    /// The share of the ttl that chance may take away, in percent.
    pub jitter: u8,
    /// How long `None` is kept, in milliseconds; not at all without it.
    pub negative_ttl_millis: Option<u64>,
    /// How long a load may hold its key, in milliseconds.
    pub load_timeout_millis: Option<u64>,
    /// How long past the ttl a value is served while one refresh runs, in milliseconds.
    pub stale_while_revalidate_millis: Option<u64>,
    /// The in-process tier.
    pub l1: L1,
    /// The second tier.
    pub l2: bool,
    /// Which events invalidate which keys.
    pub routes: &'static [Route],
    /// The kept type, unless the signature's type can be named inside the function only.
    pub output: Option<fn() -> (TypeId, &'static str)>,
    /// The return type as written.
    pub output_tokens: &'static str,
}

/// Whether and how long the in-process tier keeps values.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum L1 {
    /// As long as the ttl says.
    On,
    /// Not at all.
    Off,
    /// At most this many milliseconds.
    For(u64),
}

/// One event that invalidates one key, or one group of keys, of a function.
#[derive(Debug)]
pub struct Route {
    /// The event's name.
    pub event: &'static str,
    /// The event's type.
    pub event_type: fn() -> TypeId,
    /// The pattern, its placeholders named by the event's fields.
    pub pattern: &'static str,
    /// The pattern's pieces.
    pub pieces: &'static [PatternPiece],
    /// For each placeholder of the pattern: the number of the template's placeholder at the same place.
    pub binds: &'static [usize],
    /// Writes the key or group that an event of this type names.
    pub render: fn(&dyn Any, &mut RouteKey<'_>),
}

impl Route {
    /// Whether this names many keys.
    pub(crate) fn is_group(&self) -> bool {
        self.pieces.contains(&PatternPiece::Any)
    }

    /// The text of the key or group that `event` names; nothing when it is of another type.
    pub(crate) fn text_of(&self, event: &dyn Any, hash_key: &HashKey) -> Option<String> {
        let mut key = RouteKey { route: self, draft: None };
        (self.render)(event, &mut key);
        key.draft.map(|draft| draft.into_text(hash_key))
    }
}

/// Where a [`Route`] writes the values that an event holds.
#[derive(Debug)]
pub struct RouteKey<'a> {
    route: &'a Route,
    draft: Option<Draft>,
}

impl RouteKey<'_> {
    /// The values of the pattern's placeholders.
    pub fn values(&mut self, values: &dyn Parts) {
        self.draft = Some(pattern_draft(self.route.pieces, |number| number, values));
    }
}

/// The name of one entry, which ends with the text of its key, and the texts of the groups it belongs to.
#[derive(Clone, Debug)]
pub(crate) struct Drafts {
    pub(crate) name: Draft,
    /// Where the text begins in the name.
    pub(crate) text: usize,
    pub(crate) groups: Vec<Draft>,
}

impl Drafts {
    /// The same under a name with another beginning.
    pub(crate) fn begin_with(&mut self, beginning: &str) {
        self.name.replace_beginning(self.text, beginning);
        self.text = beginning.len();
    }
}

impl Function {
    /// A function that no registry knows yet.
    #[must_use]
    pub const fn new(spec: Spec) -> Self {
        let grouped = has_group(spec.routes);
        Self { spec, number: AtomicU32::new(0), grouped, owner: OnceLock::new(), told: AtomicBool::new(false) }
    }

    /// Whether this `Self` is that of the first call. All instances of a generic `impl`, and all types that have a default
    /// method, share one function, and no key tells their values apart.
    #[inline(always)]
    pub(crate) fn belongs_to(&self, this: &'static str) -> bool {
        self.owner.get().is_some_and(|owner| std::ptr::eq(*owner, this)) || self.is_owned_by(this)
    }

    /// What stands with its stored values for its `Self`, so that a process in which another one was first has no use for
    /// them; nothing where it has none.
    pub(crate) fn mark(&self) -> u64 {
        let digest = |owner: &&str| blake3::hash(owner.as_bytes());
        let first = |digest: blake3::Hash| digest.as_bytes().first_chunk().map(|bytes| u64::from_le_bytes(*bytes));
        self.owner.get().map(digest).and_then(first).unwrap_or_default()
    }

    /// A type has several copies of its name where it is used in several crates.
    #[cold]
    fn is_owned_by(&self, this: &'static str) -> bool {
        if has_closure(this) {
            if !self.told.swap(true, Ordering::Relaxed) {
                tracing::error!(
                    function = self.place(),
                    this,
                    "a type with a closure in it calls a cached function, and nothing tells one closure from another: it is \
                     not cached for such types; put what tells them apart into the key and write `skip(Self)`"
                );
            }
            return false;
        }
        let first = *self.owner.get_or_init(|| this);
        let owned = first == this;
        if !owned && !self.told.swap(true, Ordering::Relaxed) {
            tracing::error!(
                function = self.place(),
                first,
                other = this,
                "two types call one cached function, and its key does not tell them apart: only the first is cached; put \
                 what tells them apart into the key and write `skip(Self)`, or put `#[cached]` on a method of each type"
            );
        }
        owned
    }

    /// Whether some event invalidates a group of its keys.
    #[inline(always)]
    pub(crate) fn is_grouped(&self) -> bool {
        self.grouped
    }

    pub(crate) fn spec(&self) -> &Spec {
        &self.spec
    }

    /// Its number in the registry; 0 before it is registered.
    #[inline(always)]
    pub(crate) fn number(&self) -> u32 {
        self.number.load(Ordering::Relaxed)
    }

    pub(crate) fn set_number(&self, number: u32) {
        self.number.store(number, Ordering::Relaxed);
    }

    /// Its module and its name: `shop::users::load_user`. Methods of one module may share it.
    pub(crate) fn path(&self) -> String {
        format!("{}::{}", self.spec.module, self.spec.name)
    }

    /// Name and place, for messages.
    pub(crate) fn place(&self) -> String {
        let Spec { name, template, file, line, .. } = &self.spec;
        format!("`{name}` (key `{template}`, {file}:{line})")
    }

    /// The texts of the key with these parts; its name begins like this.
    pub(crate) fn drafts(&self, beginning: String, parts: &dyn Parts) -> Drafts {
        let group = |route: &Route| pattern_draft(route.pieces, |number| route.binds[number], parts);
        let groups = self.spec.routes.iter().filter(|route| route.is_group()).map(group).collect();
        let text = beginning.len();
        Drafts { name: key_draft(beginning, self.spec.pieces, parts), text, groups }
    }

    /// The longest a value may be kept in this process, before jitter.
    pub(crate) fn lifetime(&self, absent: bool) -> Option<Duration> {
        let ttl = if absent { self.spec.negative_ttl_millis? } else { self.spec.ttl_millis };
        match self.spec.l1 {
            L1::On => Some(Duration::from_millis(ttl)),
            L1::Off => None,
            L1::For(most) => Some(Duration::from_millis(ttl.min(most))),
        }
    }

    /// How long a value may be stored in the second tier, before jitter.
    pub(crate) fn stored_lifetime(&self, absent: bool) -> Option<Duration> {
        if absent { self.spec.negative_ttl_millis } else { Some(self.spec.ttl_millis) }.map(Duration::from_millis)
    }

    /// How long past its lifetime a value may be served while it is refreshed.
    #[inline(always)]
    pub(crate) fn staleness(&self) -> Duration {
        Duration::from_millis(self.spec.stale_while_revalidate_millis.unwrap_or(0))
    }

    /// How long the nonce of a group must live: twice as long as any value under it, from when that was stored or its lease
    /// was taken.
    pub(crate) fn stamp_life(&self) -> Duration {
        let longest = self.spec.ttl_millis.max(self.spec.negative_ttl_millis.unwrap_or(0));
        let longest = longest.saturating_add(self.spec.stale_while_revalidate_millis.unwrap_or(0));
        Duration::from_millis(longest.saturating_mul(2)).max(Duration::from_mins(1))
    }

    /// How long a load may hold its key.
    pub(crate) fn load_timeout(&self) -> Option<Duration> {
        self.spec.load_timeout_millis.map(Duration::from_millis)
    }

    /// The kept type, as far as it can be told from outside the function.
    pub(crate) fn output(&self) -> (Option<TypeId>, &'static str) {
        match self.spec.output {
            Some(output) => (Some(output().0), output().1),
            None => (None, self.spec.output_tokens),
        }
    }
}
