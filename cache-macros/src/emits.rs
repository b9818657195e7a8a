//! `#[emits]`: from what was written to what is meant ([`Plan`]) to code.

pub(crate) mod args;
mod expand;
mod plan;

use proc_macro2::TokenStream;
use quote::ToTokens;

use crate::diagnostics::Diagnostics;
use crate::function::Function;
use args::GRAMMAR;
use plan::Plan;

/// Expands `#[emits(..)]`. A mistaken attribute leaves the function as it was written.
pub(crate) fn emits(arguments: TokenStream, item: TokenStream) -> TokenStream {
    let function = match Function::read(GRAMMAR.attribute, item) {
        Ok(function) => function,
        Err(tokens) => return tokens,
    };
    let mut diagnostics = Diagnostics::default();
    let args = GRAMMAR.read(arguments, &mut diagnostics);
    match Plan::resolve(args, &function, diagnostics) {
        Ok(plan) => expand::expand(&plan),
        Err(error) => {
            let mut tokens = error.into_compile_error();
            function.to_tokens(&mut tokens);
            tokens
        }
    }
}
