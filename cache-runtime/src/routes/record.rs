//! One route, as it stands in Redis: a field that says all of it to a person, and JSON.

use std::fmt;

use cache_spec::pattern::{Pattern, PatternPiece};
use serde::{Deserialize, Serialize};

use crate::function::{Function, Route};

/// One version of a function, and one event that names keys of it, if any does.
#[derive(Debug)]
pub(super) struct Record {
    /// Module and name.
    pub(super) function: String,
    pub(super) version: u32,
    pub(super) subscription: Option<Subscription>,
    /// The function and its route, if this process links them.
    pub(super) linked: Option<(&'static Function, Option<&'static Route>)>,
}

/// An event, and the keys of a function that it names.
#[derive(Debug)]
pub(super) struct Subscription {
    pub(super) event: String,
    pub(super) keys: Pattern,
}

/// The JSON of a record. What a later version may add is ignored.
#[derive(Serialize, Deserialize)]
struct Wire<'a> {
    function: &'a str,
    version: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    event: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    keys: Option<String>,
}

/// Why what stands in the routes is no route.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Unreadable {
    Long,
    NotJson,
    Pattern,
    OtherField,
}

/// The longest route that is read: names and a pattern.
const LONGEST: usize = 8 << 10;

impl Record {
    /// A function, with one of its routes or none.
    pub(super) fn of(function: &'static Function, route: Option<&'static Route>) -> Self {
        let spec = function.spec();
        let subscription = |route: &Route| {
            let keys = Pattern::parse(route.pattern).expect("the macro has parsed it");
            Subscription { event: route.event.to_owned(), keys }
        };
        Self {
            function: function.path(),
            version: spec.version,
            subscription: route.map(subscription),
            linked: Some((function, route)),
        }
    }

    /// Where it stands: another one stands elsewhere, and here stands never anything else.
    pub(super) fn field(&self) -> String {
        let Self { function, version, .. } = self;
        match &self.subscription {
            Some(Subscription { event, keys }) => format!("{function} v{version}: {event} => {keys}"),
            None => format!("{function} v{version}"),
        }
    }

    /// What stands there.
    pub(super) fn value(&self) -> String {
        let subscription = self.subscription.as_ref();
        let event = subscription.map(|subscription| subscription.event.as_str());
        let keys = subscription.map(|subscription| subscription.keys.to_string());
        let wire = Wire { function: &self.function, version: self.version, event, keys };
        serde_json::to_string(&wire).expect("strings and a number are JSON")
    }

    /// Reads what another process wrote.
    pub(super) fn read(field: &str, value: &str) -> Result<Self, Unreadable> {
        if value.len() > LONGEST {
            return Err(Unreadable::Long);
        }
        let wire: Wire<'_> = serde_json::from_str(value).map_err(|_| Unreadable::NotJson)?;
        let subscription = match (wire.event, wire.keys) {
            (Some(event), Some(keys)) => {
                let keys = Pattern::parse(&keys).map_err(|_| Unreadable::Pattern)?;
                Some(Subscription { event: event.to_owned(), keys })
            }
            (None, None) => None,
            (Some(_), None) | (None, Some(_)) => return Err(Unreadable::NotJson),
        };
        let record = Self { function: wire.function.to_owned(), version: wire.version, subscription, linked: None };
        if record.field() == field { Ok(record) } else { Err(Unreadable::OtherField) }
    }
}

impl Subscription {
    /// What every key that it names begins with.
    pub(super) fn prefix(&self) -> &str {
        match self.keys.pieces().first() {
            Some(PatternPiece::Literal(literal)) => literal,
            Some(PatternPiece::Value(_) | PatternPiece::Any) | None => "",
        }
    }
}

impl fmt::Display for Unreadable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Long => "it is longer than any route",
            Self::NotJson => "it is not the JSON of a route",
            Self::Pattern => "its pattern has mistakes",
            Self::OtherField => "it stands at the field of another route",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::routes::sample;

    #[test]
    fn a_route_is_readable_by_people() {
        let record = Record::of(&sample::USER, sample::USER.spec().routes.first());
        assert_eq!(record.field(), "shop::users::load_user v1: UserUpdated => user:<tenant>:<id>");
        assert_eq!(
            record.value(),
            r#"{"function":"shop::users::load_user","version":1,"event":"UserUpdated","keys":"user:<tenant>:<id>"}"#
        );
        let alone = Record::of(&sample::USER, None);
        assert_eq!(
            (alone.field().as_str(), alone.value().as_str()),
            ("shop::users::load_user v1", r#"{"function":"shop::users::load_user","version":1}"#)
        );
    }

    #[test]
    fn what_was_written_is_read() {
        for route in [None, sample::USER.spec().routes.first(), sample::USER.spec().routes.last()] {
            let written = Record::of(&sample::USER, route);
            let read = Record::read(&written.field(), &written.value()).expect("a route");
            assert_eq!((read.field(), read.value()), (written.field(), written.value()));
        }
    }

    #[test]
    fn what_others_wrote_is_no_panic() {
        let check = |value: &str, why| assert_eq!(Record::read("x", value).map(|_| ()), Err(why), "{value}");
        check("", Unreadable::NotJson);
        check("[]", Unreadable::NotJson);
        check("{\"function\":7}", Unreadable::NotJson);
        check(r#"{"function":"f","version":1,"event":"E"}"#, Unreadable::NotJson);
        check(r#"{"function":"f","version":1,"event":"E","keys":"<<<"}"#, Unreadable::Pattern);
        check(r#"{"function":"f","version":1,"event":"E","keys":"f:<a>","more":1}"#, Unreadable::OtherField);
        check(&" ".repeat(LONGEST + 1), Unreadable::Long);
    }
}
