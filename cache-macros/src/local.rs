//! Names of variables in generated code.

use proc_macro2::{Ident, Span};

/// A variable that only generated code knows. Hygiene tells it from the user's variables, but not from constants and
/// statics, which are a pattern of their own where a variable is bound: so nobody else has a name like this.
pub(crate) fn local(name: &str) -> Ident {
    local_at(name, Span::call_site())
}

/// The same, shown at a place.
pub(crate) fn local_at(name: &str, place: Span) -> Ident {
    Ident::new(&format!("__cached_{name}"), Span::mixed_site().located_at(place))
}
