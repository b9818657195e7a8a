//! No argument is forgotten: each stands in the key or is skipped, and not both.

use cache_spec::suggest;
use cache_spec::template::{Placeholder, Template};
use proc_macro2::Span;
use syn::ext::IdentExt;
use syn::{GenericParam, Ident, Receiver, ReceiverKind, Type};

use crate::arguments::{Argument, Arguments};
use crate::cached::written::Written;
use crate::diagnostics::Diagnostics;
use crate::keys::listed;
use crate::mention::{mentions, uses_variable};
use crate::output::{bare, readable};

/// What was skipped with `skip(..)`, and where.
struct Skips<'a> {
    listed: &'a [Ident],
}

impl<'a> Skips<'a> {
    fn of(written: &Written<'a>) -> Self {
        Self { listed: written.args.skip.as_ref().map_or(&[], |skip| &skip.value) }
    }

    fn find(&self, name: &str) -> Option<Span> {
        self.listed.iter().find(|ident| ident.unraw() == name).map(Ident::span)
    }
}

/// Checks every argument and every type parameter against the template.
pub(super) fn check(written: &Written<'_>, template: &Template, diagnostics: &mut Diagnostics) {
    check_skips(written, diagnostics);
    let check = Check { written, skips: Skips::of(written), template };
    if let Some(receiver) = &written.arguments.receiver {
        check.receiver(receiver, diagnostics);
    }
    for argument in &written.arguments.others {
        check.argument(argument, diagnostics);
    }
    for param in &written.function.sig.generics.params {
        check.type_parameter(param, diagnostics);
    }
    check.self_type(diagnostics);
}

/// Checks that `skip(..)` names arguments, type parameters or `Self`, each once.
pub(super) fn check_skips(written: &Written<'_>, diagnostics: &mut Diagnostics) {
    let (skips, arguments) = (Skips::of(written), written.arguments);
    for (at, ident) in skips.listed.iter().enumerate() {
        let name = ident.unraw().to_string();
        let marked = match name.as_str() {
            "self" => arguments.receiver_skip,
            _ => arguments.find(&name).and_then(|argument| argument.skip),
        };
        let repeated = skips.listed[..at].iter().any(|before| before.unraw() == name);
        if marked.is_some() || repeated {
            diagnostics.report(ident.span(), format!("`{name}` is skipped twice; keep one of them"));
        } else if name != "Self" && !arguments.has(&name) && !written.function.type_parameters().any(|own| *own == name)
        {
            diagnostics.report(ident.span(), unknown_skip(&name, arguments));
        }
    }
}

fn unknown_skip(name: &str, arguments: &Arguments) -> String {
    let names = arguments.names();
    let mut names = names.iter().map(String::as_str).peekable();
    if names.peek().is_none() {
        return format!("`skip({name})` names no argument; this function takes none");
    }
    let all: Vec<&str> = names.collect();
    match suggest::nearest(name, all.iter().copied()) {
        Some(near) => format!("`skip({name})` names no argument; did you mean `{near}`?"),
        None => format!("`skip({name})` names no argument; there is {}", listed(all)),
    }
}

struct Check<'a> {
    written: &'a Written<'a>,
    skips: Skips<'a>,
    template: &'a Template,
}

impl Check<'_> {
    fn receiver(&self, receiver: &Receiver, diagnostics: &mut Diagnostics) {
        let skip = self.written.arguments.receiver_skip.or(self.skips.find("self"));
        match (self.placed("self"), skip) {
            (Some(shown), Some(skip)) => diagnostics.report(skip, both("self", &shown)),
            (None, None) if !self.only_for_cache("self") => {
                let message = "`self` is neither in the key nor skipped; add the field that tells two of them apart, \
                               as in `<self.id>`, to `key`, or write `skip(self)` if the value does not depend on it";
                diagnostics.report(receiver.self_token.span, message);
            }
            (Some(_), None) if matches!(receiver.kind, ReceiverKind::Reference(_, _, Some(_))) => {
                diagnostics.report(receiver.self_token.span, mutable("self", "&self"));
            }
            (Some(_) | None, _) => {}
        }
    }

    fn argument(&self, argument: &Argument, diagnostics: &mut Diagnostics) {
        let Some(name) = &argument.name else {
            if argument.skip.is_none() && !argument.is_ignored() {
                diagnostics.report(argument.span(), nameless(argument));
            }
            return;
        };
        let name = name.unraw().to_string();
        let skip = argument.skip.or(self.skips.find(&name));
        match (self.placed(&name), skip) {
            (Some(shown), Some(skip)) => diagnostics.report(skip, both(&name, &shown)),
            (Some(_), None) => self.key_type(&name, argument, diagnostics),
            (None, None) if !self.only_for_cache(&name) && !self.meant(&name) => {
                diagnostics.report(argument.span(), forgotten(&name));
            }
            (None, _) => {}
        }
    }

    /// A key part must be of one type, and stay as it is while it is read.
    fn key_type(&self, name: &str, argument: &Argument, diagnostics: &mut Diagnostics) {
        let ty = bare(&argument.ty);
        let generic = self.written.function.type_parameters().find(|param| mentions(ty, &param.to_string()));
        if let Type::Reference(reference) = ty
            && reference.mutability.is_some()
        {
            let shared = format!("{name}: &{}", readable(&reference.elem));
            diagnostics.report(argument.span(), mutable(name, &shared));
        } else if generic.is_some() || mentions(ty, "impl") {
            let shown = generic.map_or_else(|| readable(ty), ToString::to_string);
            let message = format!(
                "`{name}` is generic (`{shown}`), and a key part needs one type: \
                 convert it in the caller, or skip it"
            );
            diagnostics.report(argument.span(), message);
        }
    }

    /// A type parameter tells calls apart like an argument does, so it must be skipped, itself or with an argument of which
    /// somebody said so: through one that needs no word, such as `_: PhantomData<T>`, it would be forgotten.
    fn type_parameter(&self, param: &GenericParam, diagnostics: &mut Diagnostics) {
        let name = match param {
            GenericParam::Type(param) => &param.ident,
            GenericParam::Const(param) => &param.ident,
            GenericParam::Lifetime(_) => return,
        };
        let text = name.to_string();
        if mentions(&self.written.function.sig.output, &text) {
            let message =
                format!("the output depends on `{text}`, which no key can hold: one function caches one type");
            return diagnostics.report(name.span(), message);
        }
        let implied = self.written.arguments.others.iter().any(|one| mentions(&one.ty, &text) && self.is_judged(one));
        if !implied && self.skips.find(&text).is_none() {
            let message = format!(
                "`{text}` tells calls apart but cannot stand in the key; write `skip({text})` if the value does not depend on it, \
                 or if an argument in the key tells its types apart"
            );
            diagnostics.report(name.span(), message);
        }
    }

    /// Which type it belongs to is known when it is called. The value of one is not to be given for that of another.
    fn self_type(&self, diagnostics: &mut Diagnostics) {
        if let Some(skip) = self.skips.find("Self")
            && mentions(&self.written.function.sig.output, "Self")
        {
            let message = "the output depends on `Self`, which no key can hold: one function caches one type";
            diagnostics.report(skip, message);
        }
    }

    /// Whether the argument is skipped in so many words, or stands in the key, or is refused for being neither.
    fn is_judged(&self, argument: &Argument) -> bool {
        let Some(name) = &argument.name else {
            return argument.skip.is_some() || !argument.is_ignored();
        };
        let name = name.unraw().to_string();
        argument.skip.is_some() || self.skips.find(&name).is_some() || !self.only_for_cache(&name)
    }

    /// How the argument stands in the template.
    fn placed(&self, name: &str) -> Option<String> {
        let mut placeholders = self.template.placeholders().iter();
        placeholders.find(|placeholder| placeholder.root() == name).map(ToString::to_string)
    }

    /// An argument that only says which cache to use is no part of the identity.
    fn only_for_cache(&self, name: &str) -> bool {
        let body = self.written.function.body.as_ref();
        let cache = self.written.args.cache.as_ref().map(|cache| &cache.value);
        cache.is_some_and(|cache| uses_variable(cache, name)) && !body.is_some_and(|body| uses_variable(body, name))
    }

    /// Whether a misspelt placeholder was meant to be this argument: that is one mistake, not two.
    fn meant(&self, name: &str) -> bool {
        let names = self.written.arguments.names();
        let misspelt = self.template.placeholders().iter().map(Placeholder::root);
        misspelt
            .filter(|root| !self.written.arguments.has(root))
            .any(|root| suggest::nearest(root, names.iter().map(String::as_str)) == Some(name))
    }
}

fn forgotten(name: &str) -> String {
    format!(
        "argument `{name}` is neither in the key nor skipped; add `<{name}>` to `key`, \
         or put `#[cache(skip)]` before it if the value does not depend on it"
    )
}

fn nameless(argument: &Argument) -> String {
    let shown = readable(&argument.pat);
    format!(
        "`{shown}` has no name that a key could hold; give the argument a name and take it apart in the body, \
         or put `#[cache(skip)]` before it if the value does not depend on it"
    )
}

fn both(name: &str, shown: &str) -> String {
    format!("`{name}` is skipped and in the key; remove the skip, or `{shown}` from `key`")
}

fn mutable(name: &str, shared: &str) -> String {
    format!("`{name}` is in the key and may be changed by the body; take it as `{shared}`, or skip it")
}
