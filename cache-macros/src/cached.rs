//! `#[cached]`: from what was written ([`Args`](args::Args)) to what is meant ([`Plan`]) to code.

pub(crate) mod args;
mod companions;
mod descriptor;
mod expand;
mod identity;
mod later;
mod load;
mod parts;
mod plan;
mod policy;
mod routes;
mod written;

use proc_macro2::TokenStream;
use quote::ToTokens;

use crate::diagnostics::Diagnostics;
use crate::function::Function;
use args::GRAMMAR;
use plan::Plan;

/// Expands `#[cached(..)]`. A mistaken attribute leaves the function as it was written.
pub(crate) fn cached(arguments: TokenStream, item: TokenStream) -> TokenStream {
    let mark = companions::mark(&arguments, &item);
    let function = match Function::read(GRAMMAR.attribute, item) {
        Ok(function) => function,
        Err(tokens) => return tokens,
    };
    let mut diagnostics = Diagnostics::default();
    let args = GRAMMAR.read(arguments, &mut diagnostics);
    match Plan::resolve(args, &function, mark, diagnostics) {
        Ok(plan) => expand::expand(&plan),
        Err(error) => {
            let mut tokens = error.into_compile_error();
            function.to_tokens(&mut tokens);
            tokens
        }
    }
}
