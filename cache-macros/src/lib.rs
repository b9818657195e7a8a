//! The attributes and derives of `cache-runtime`, which re-exports them.
//!
//! Each one is a pipeline of nouns: what was written (`Args`), what it means (`Plan`), and code. Only the step in the
//! middle can fail, and it reports everything at once.

mod arguments;
mod cached;
mod diagnostics;
mod emits;
mod event;
mod function;
mod key_part;
mod keys;
mod local;
mod mention;
mod output;
mod runtime;

#[cfg(test)]
mod documentation_tests;
#[cfg(test)]
mod expansion_tests;

use proc_macro::TokenStream;
use syn::{DeriveInput, parse_macro_input};

#[doc = include_str!("../docs/cached.md")]
#[proc_macro_attribute]
pub fn cached(arguments: TokenStream, item: TokenStream) -> TokenStream {
    cached::cached(arguments.into(), item.into()).into()
}

#[doc = include_str!("../docs/emits.md")]
#[proc_macro_attribute]
pub fn emits(arguments: TokenStream, item: TokenStream) -> TokenStream {
    emits::emits(arguments.into(), item.into()).into()
}

#[doc = include_str!("../docs/event.md")]
#[proc_macro_derive(Event, attributes(event))]
pub fn derive_event(input: TokenStream) -> TokenStream {
    event::derive(&parse_macro_input!(input as DeriveInput)).into()
}

#[doc = include_str!("../docs/key_part.md")]
#[proc_macro_derive(KeyPart, attributes(key_part))]
pub fn derive_key_part(input: TokenStream) -> TokenStream {
    key_part::derive(&parse_macro_input!(input as DeriveInput)).into()
}
