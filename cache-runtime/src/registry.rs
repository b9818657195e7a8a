//! Every cached function and every event that is linked in.

use std::any::TypeId;
use std::collections::{BTreeSet, HashMap};
use std::fmt;
use std::sync::{LazyLock, Mutex, MutexGuard, PoisonError};

use cache_spec::duration;
use cache_spec::template::{Placeholder, Template};
use serde_json::{Value, json};

use crate::error::{Error, Overlap};
use crate::event::RegisteredEvent;
use crate::function::{Function, Route};

/// A cached function, handed to the registry when the program is linked.
#[derive(Debug)]
pub struct Registered(pub &'static Function);

inventory::collect!(Registered);

/// Functions in the order of their numbers, from 1. Where link-time registration does not work, functions come with
/// their first call.
static FUNCTIONS: LazyLock<Mutex<Vec<&'static Function>>> = LazyLock::new(|| {
    let mut functions: Vec<_> = inventory::iter::<Registered>.into_iter().map(|registered| registered.0).collect();
    // The linker's order is its own; by place, numbers and tables are the same in every run.
    functions.sort_by_key(|function| (function.spec().file, function.spec().line, function.spec().name));
    for (number, function) in (1..).zip(&functions) {
        function.set_number(number);
    }
    Mutex::new(functions)
});

fn functions() -> MutexGuard<'static, Vec<&'static Function>> {
    FUNCTIONS.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The function's number, given on first sight.
#[inline]
pub(crate) fn number_of(function: &'static Function) -> u32 {
    match function.number() {
        0 => register(function),
        number => number,
    }
}

/// Gives the function a number, if it has none.
#[inline(always)]
pub(crate) fn ensure_number(function: &'static Function) {
    if function.number() == 0 {
        register(function);
    }
}

#[cold]
fn register(function: &'static Function) -> u32 {
    let mut functions = functions();
    if function.number() == 0 {
        functions.push(function);
        function.set_number(u32::try_from(functions.len()).expect("each function is a static of its own"));
    }
    function.number()
}

/// Where an event of one type goes.
pub(crate) fn routes_of(event: TypeId) -> Vec<(&'static Function, &'static Route)> {
    static INDEX: LazyLock<Mutex<Index>> = LazyLock::new(Mutex::default);
    let mut index = INDEX.lock().unwrap_or_else(PoisonError::into_inner);
    index.refresh(&functions());
    index.routes.get(&event).cloned().unwrap_or_default()
}

#[derive(Default)]
struct Index {
    seen: usize,
    routes: HashMap<TypeId, Vec<(&'static Function, &'static Route)>>,
}

impl Index {
    fn refresh(&mut self, functions: &[&'static Function]) {
        for function in &functions[self.seen..] {
            for route in function.spec().routes {
                self.routes.entry((route.event_type)()).or_default().push((*function, route));
            }
        }
        self.seen = functions.len();
    }
}

/// Refuses functions that can render the same key but keep different types, and events that share a name.
pub(crate) fn check() -> Result<(), Error> {
    let events: Vec<_> = inventory::iter::<RegisteredEvent>.into_iter().collect();
    check_events(&events)?;
    check_overlaps(&functions())
}

fn check_events(events: &[&RegisteredEvent]) -> Result<(), Error> {
    let mut by_name = HashMap::new();
    for event in events {
        if let Some(first) = by_name.insert(event.name, *event) {
            let (first, second) = (first.place(), event.place());
            return Err(Error::EventName { name: event.name, first, second });
        }
    }
    Ok(())
}

fn check_overlaps(functions: &[&'static Function]) -> Result<(), Error> {
    let parse = |function: &&'static Function| Some((*function, Template::parse(function.spec().template).ok()?));
    let parsed: Vec<_> = functions.iter().filter_map(parse).collect();
    for (place, (first, template)) in parsed.iter().enumerate() {
        let overlaps = |(second, other): &&(&'static Function, Template)| {
            first.spec().version == second.spec().version && !same_output(first, second) && template.overlaps(other)
        };
        if let Some((second, _)) = parsed[place + 1..].iter().find(overlaps) {
            return Err(Error::Overlap(Box::new(Overlap { first: first.place(), second: second.place() })));
        }
    }
    Ok(())
}

/// Warns of functions that have the same keys and keep the same type: nothing refuses them, and in the second tier each is
/// served what the other has stored. Once for each pair.
pub(crate) fn warn_of_shared_keys() {
    static TOLD: Mutex<BTreeSet<(u32, u32)>> = Mutex::new(BTreeSet::new());
    let mut told = TOLD.lock().unwrap_or_else(PoisonError::into_inner);
    for (first, second) in sharing(&functions()) {
        if told.insert((first.number(), second.number())) {
            tracing::warn!(
                first = first.place(),
                second = second.place(),
                "two functions have the same keys and keep the same type: each is served what the other has stored in Redis; change one template or its `version`, or let one call the other"
            );
        }
    }
}

fn sharing(functions: &[&'static Function]) -> Vec<(&'static Function, &'static Function)> {
    let stored = functions.iter().filter(|function| function.spec().l2);
    let parse = |function: &&'static Function| Some((*function, Template::parse(function.spec().template).ok()?));
    let parsed: Vec<_> = stored.filter_map(parse).collect();
    let mut pairs = Vec::new();
    for (place, (first, template)) in parsed.iter().enumerate() {
        let shares = |(second, other): &&(&'static Function, Template)| {
            first.spec().version == second.spec().version
                && !is_twice(first, second)
                && same_output(first, second)
                && same_keys(template, other)
        };
        pairs.extend(parsed[place + 1..].iter().filter(shares).map(|(second, _)| (*first, *second)));
    }
    pairs
}

/// One function of a crate that is linked in two versions.
fn is_twice(first: &Function, second: &Function) -> bool {
    (first.spec().module, first.spec().name) == (second.spec().module, second.spec().name)
}

/// The names of placeholders stand in no key.
fn same_keys(first: &Template, second: &Template) -> bool {
    let hashed = |template: &Template| template.placeholders().iter().map(Placeholder::hashed).collect::<Vec<_>>();
    first.pieces() == second.pieces() && hashed(first) == hashed(second)
}

/// What names `Self` is known as text alone, and the same text means another type in each `impl`.
fn same_output(first: &Function, second: &Function) -> bool {
    let (first, second) = (first.output().0, second.output().0);
    first.is_some() && first == second
}

/// Every cached function of this program.
///
/// # Examples
///
/// ```
/// println!("{}", cache_runtime::registry());
/// ```
#[must_use]
pub fn registry() -> Registry {
    Registry { functions: functions().clone() }
}

/// A snapshot of the registry: iterate over it, print it as a table, or take it as JSON.
#[derive(Clone, Debug)]
pub struct Registry {
    functions: Vec<&'static Function>,
}

/// One cached function, as its attribute describes it.
#[derive(Clone, Copy, Debug)]
pub struct FunctionInfo {
    function: &'static Function,
}

impl Registry {
    /// The functions, by file and line.
    #[must_use]
    pub fn iter(&self) -> impl ExactSizeIterator<Item = FunctionInfo> + '_ {
        self.functions.iter().map(|function| FunctionInfo { function })
    }

    /// The function with this name; the first if there are several.
    #[must_use]
    pub fn find(&self, name: &str) -> Option<FunctionInfo> {
        self.iter().find(|function| function.name() == name)
    }

    /// The functions as a JSON array of objects.
    #[must_use]
    pub fn to_json(&self) -> String {
        Value::Array(self.iter().map(FunctionInfo::to_json).collect()).to_string()
    }
}

impl FunctionInfo {
    /// The function's name.
    #[must_use]
    pub fn name(&self) -> &'static str {
        self.function.spec().name
    }

    /// The module it stands in.
    #[must_use]
    pub fn module(&self) -> &'static str {
        self.function.spec().module
    }

    /// The file it stands in.
    #[must_use]
    pub fn file(&self) -> &'static str {
        self.function.spec().file
    }

    /// The line of its name.
    #[must_use]
    pub fn line(&self) -> u32 {
        self.function.spec().line
    }

    /// Its key template.
    #[must_use]
    pub fn template(&self) -> &'static str {
        self.function.spec().template
    }

    /// Its key version.
    #[must_use]
    pub fn version(&self) -> u32 {
        self.function.spec().version
    }

    /// Its ttl.
    #[must_use]
    pub fn ttl(&self) -> std::time::Duration {
        std::time::Duration::from_millis(self.function.spec().ttl_millis)
    }

    /// The type it keeps, or its return type as written where that cannot be named outside the function.
    #[must_use]
    pub fn output(&self) -> &'static str {
        self.function.output().1
    }

    /// The events that invalidate it, each with the pattern of the keys it names.
    pub fn events(&self) -> impl Iterator<Item = (&'static str, &'static str)> {
        self.function.spec().routes.iter().map(|route| (route.event, route.pattern))
    }

    fn to_json(self) -> Value {
        let event = |(event, keys): (&str, &str)| json!({ "event": event, "keys": keys });
        json!({
            "name": self.name(),
            "module": self.module(),
            "file": self.file(),
            "line": self.line(),
            "template": self.template(),
            "version": self.version(),
            "ttl_ms": self.function.spec().ttl_millis,
            "jitter_percent": self.function.spec().jitter,
            "output": self.output(),
            "events": self.events().map(event).collect::<Vec<_>>(),
        })
    }

    fn cells(self) -> [String; 6] {
        let events: Vec<_> = self.events().map(|(event, _)| event).collect();
        [
            format!("{}::{}", self.module(), self.name()),
            format!("v{}:{}", self.version(), self.template()),
            duration::print(self.ttl()),
            events.join(", "),
            self.output().to_owned(),
            format!("{}:{}", self.file(), self.line()),
        ]
    }
}

impl fmt::Display for Registry {
    /// A table, one function a line.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let head = ["function", "key", "ttl", "events", "output", "place"].map(str::to_owned);
        let rows: Vec<_> = std::iter::once(head).chain(self.iter().map(FunctionInfo::cells)).collect();
        let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0);
        let widths: Vec<_> = (0..6).map(width).collect();
        for row in &rows {
            let cells: Vec<_> = row.iter().zip(&widths).map(|(cell, width)| format!("{cell:width$}")).collect();
            writeln!(f, "{}", cells.join("  ").trim_end())?;
        }
        Ok(())
    }
}

/// All functions that are known so far.
pub(crate) fn all() -> Vec<&'static Function> {
    functions().clone()
}
