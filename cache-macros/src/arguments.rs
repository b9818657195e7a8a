//! The arguments of a function, by the names under which an attribute knows them.

use proc_macro2::Span;
use syn::ext::IdentExt;
use syn::spanned::Spanned;
use syn::{Attribute, FnArg, Ident, Pat, Receiver, Type};

use crate::diagnostics::Diagnostics;
use crate::function::Function;
use crate::local::local;

/// All arguments of a function.
pub(crate) struct Arguments {
    pub(crate) receiver: Option<Receiver>,
    /// Where `#[cache(skip)]` stands before the receiver.
    pub(crate) receiver_skip: Option<Span>,
    pub(crate) others: Vec<Argument>,
}

/// An argument other than `self`.
pub(crate) struct Argument {
    /// Its name; a pattern such as `(a, b)` or `_` has none.
    pub(crate) name: Option<Ident>,
    /// The name under which generated code knows it.
    pub(crate) local: Ident,
    pub(crate) pat: Pat,
    pub(crate) ty: Type,
    /// Where `#[cache(skip)]` stands before it.
    pub(crate) skip: Option<Span>,
}

impl Arguments {
    pub(crate) fn of(function: &Function, diagnostics: &mut Diagnostics) -> Self {
        let mut arguments = Self { receiver: None, receiver_skip: None, others: Vec::new() };
        for (input, mark) in function.sig.inputs.iter().zip(&function.marks) {
            let skip = mark.as_ref().and_then(|mark| skip_mark(mark, diagnostics));
            refuse_cfg(input, diagnostics);
            match input {
                FnArg::Receiver(receiver) => {
                    arguments.receiver = Some(receiver.clone());
                    arguments.receiver_skip = skip;
                }
                FnArg::Typed(typed) => {
                    let number = arguments.others.len() + 1;
                    arguments.others.push(Argument::new(number, &typed.pat, &typed.ty, skip));
                }
            }
        }
        arguments
    }

    /// Gives every argument that begins with `_` a name that only generated code knows, unless `is_needed`. Passing such
    /// an argument on is no use that a lint should mind.
    pub(crate) fn hide_underscored(&mut self, is_needed: impl Fn(&str) -> bool) {
        for argument in &mut self.others {
            let text = argument.local.to_string();
            if text.starts_with('_') && !is_needed(&text) {
                let here = Span::mixed_site().located_at(argument.local.span());
                argument.local = Ident::new(&text, here);
            }
        }
    }

    /// The argument with this name.
    pub(crate) fn find(&self, name: &str) -> Option<&Argument> {
        self.others.iter().find(|argument| argument.is(name))
    }

    /// Whether there is an argument of this name, `self` included.
    pub(crate) fn has(&self, name: &str) -> bool {
        (name == "self" && self.receiver.is_some()) || self.find(name).is_some()
    }

    /// All names, `self` included.
    pub(crate) fn names(&self) -> Vec<String> {
        let receiver = self.receiver.iter().map(|_| "self".to_owned());
        let named = self.others.iter().filter_map(|argument| argument.name.as_ref());
        receiver.chain(named.map(|name| name.unraw().to_string())).collect()
    }
}

impl Argument {
    fn new(number: usize, pat: &Pat, ty: &Type, skip: Option<Span>) -> Self {
        let name = match pat {
            Pat::Ident(pat) if pat.by_ref.is_none() && pat.subpat.is_none() => Some(pat.ident.clone()),
            _ => None,
        };
        let generated = || local(&format!("argument{number}"));
        let local = name.clone().unwrap_or_else(generated);
        Self { name, local, pat: pat.clone(), ty: ty.clone(), skip }
    }

    pub(crate) fn is(&self, name: &str) -> bool {
        self.name.as_ref().is_some_and(|own| own.unraw() == name)
    }

    /// `_`: the body cannot see it.
    pub(crate) fn is_ignored(&self) -> bool {
        matches!(self.pat, Pat::Wild(_))
    }

    pub(crate) fn span(&self) -> Span {
        self.pat.span()
    }
}

fn skip_mark(mark: &Attribute, diagnostics: &mut Diagnostics) -> Option<Span> {
    let word = mark.parse_args_with(Ident::parse_any).ok().filter(|word| word == "skip");
    if word.is_none() {
        let message = "an argument knows `#[cache(skip)]` alone: it is no part of the identity";
        diagnostics.report(mark.path().span(), message);
    }
    word.map(|word| word.span())
}

fn refuse_cfg(input: &FnArg, diagnostics: &mut Diagnostics) {
    let attrs = match input {
        FnArg::Receiver(receiver) => &receiver.attrs,
        FnArg::Typed(typed) => &typed.attrs,
    };
    for attribute in attrs.iter().filter(|attribute| attribute.path().is_ident("cfg")) {
        let message = "an attribute cannot tell whether this argument exists; \
                       put the `#[cfg(..)]` on two versions of the function";
        diagnostics.report(attribute.path().span(), message);
    }
}
