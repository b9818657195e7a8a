//! What stands beside the cached function: the body, the entry and the descriptor.

use std::hash::{DefaultHasher, Hasher};

use proc_macro2::{Span, TokenStream};
use quote::{ToTokens, format_ident, quote_spanned};
use syn::ext::IdentExt;
use syn::{Attribute, FnArg, GenericParam, Generics, Ident, Receiver, Signature, parse_quote, parse_quote_spanned};

use crate::arguments::Argument;
use crate::cached::args::Siblings;
use crate::cached::descriptor;
use crate::cached::parts;
use crate::cached::plan::Plan;
use crate::cached::written::Written;
use crate::function::lenient;
use crate::local::local;
use crate::mention::{mentions, uses_variable};
use crate::output::Form;

/// Whether the cached function has companions, and by which path it reaches them.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Companions {
    /// In the same module.
    Free,
    /// In the same `impl` or `trait`.
    InSelf,
    /// No other item may stand here.
    Off,
}

/// The names of the companions. The compiler names the hidden ones where an `impl` block has no place for them: the name
/// is the advice.
pub(crate) struct Names {
    pub(crate) uncached: Ident,
    pub(crate) entry: Ident,
    pub(crate) function: Ident,
    pub(crate) parts: Ident,
}

impl Companions {
    pub(crate) fn of(written: &Written<'_>) -> Self {
        match written.args.companions.as_ref().map(|given| &given.value) {
            Some(Siblings::Off) => Self::Off,
            _ if written.form == Some(Form::Boxed) => Self::Off,
            Some(Siblings::InSelf) => Self::InSelf,
            None if written.is_associated() => Self::InSelf,
            None => Self::Free,
        }
    }

    /// What stands before the name of a companion.
    pub(crate) fn path(self) -> TokenStream {
        match self {
            Self::InSelf => quote_spanned!(Span::mixed_site()=> Self::),
            Self::Free | Self::Off => TokenStream::new(),
        }
    }
}

impl Names {
    /// The names of the companions of this function.
    pub(crate) fn of(plan: &Plan<'_>) -> Self {
        let name = plan.function.name().unraw();
        // What is asked for without `Self::` is not to be that of another function with this name, in a module around the
        // `impl` block.
        let mark = if plan.companions == Companions::Free { format!("_{:08x}", plan.mark) } else { String::new() };
        Self {
            uncached: format_ident!("{name}_uncached"),
            entry: format_ident!("{name}_entry"),
            function: format_ident!("__cached_{name}_see_key_companions{mark}"),
            parts: format_ident!("__key_of_{name}_see_key_companions{mark}"),
        }
    }
}

/// Tells functions with the same name apart.
pub(crate) fn mark(arguments: &TokenStream, item: &TokenStream) -> u32 {
    let mut hasher = DefaultHasher::new();
    hasher.write(arguments.to_string().as_bytes());
    hasher.write(item.to_string().as_bytes());
    // The upper half is as good as the lower one.
    (hasher.finish() >> 32) as u32
}

/// All companions of a function.
pub(crate) fn companions(plan: &Plan<'_>) -> TokenStream {
    if plan.companions == Companions::Off {
        return TokenStream::new();
    }
    let function = descriptor::function(plan, &Names::of(plan).function);
    let mut tokens = hidden(plan, &function);
    tokens.extend(uncached(plan));
    tokens.extend(entry(plan));
    tokens.extend(parts::function(plan).map(|function| hidden(plan, &function)));
    tokens
}

fn uncached(plan: &Plan<'_>) -> TokenStream {
    let (function, body) = (plan.function, &plan.body);
    let (vis, attrs) = (&function.vis, function.inherited_attrs().map(lenient));
    let sig = uncached_signature(plan);
    let doc = format!(" {} without the cache: the original body.", link(plan));
    quote_spanned! {Span::mixed_site()=>
        #[doc = #doc]
        // tidy: allow because it is emitted into the user's crate, where it may or may not be needed
        #[allow(
            dead_code,
            clippy::missing_errors_doc,
            clippy::missing_panics_doc,
            clippy::unused_async
        )]
        #(#attrs)*
        #vis #sig #body
    }
}

/// The function's own signature. An argument that only says which cache to use is not used here.
fn uncached_signature(plan: &Plan<'_>) -> Signature {
    let mut sig = plan.function.sig.clone();
    sig.ident = Names::of(plan).uncached;
    let unused = |argument: &Argument| {
        let name = argument.name.as_ref().map(|name| name.unraw().to_string());
        name.is_some_and(|name| for_cache(plan, &name) && !uses_variable(&plan.body, &name))
    };
    let typed = sig.inputs.iter_mut().filter_map(|input| match input {
        FnArg::Typed(typed) => Some(typed),
        FnArg::Receiver(_) => None,
    });
    for (typed, _) in typed.zip(&plan.arguments.others).filter(|(_, argument)| unused(argument)) {
        let here = Span::mixed_site();
        // tidy: allow because it is emitted into the user's crate, where it may or may not be needed
        typed.attrs.push(parse_quote_spanned!(here=> #[allow(unused_variables)]));
    }
    sig
}

fn entry(plan: &Plan<'_>) -> TokenStream {
    let here = Span::mixed_site();
    let vis = &plan.function.vis;
    let attrs = conditions(plan);
    let sig = entry_signature(plan);
    let (path, function) = (plan.companions.path(), Names::of(plan).function);
    let (private, parts) = (plan.private_for_output(), parts::parts(plan));
    let (function_name, shape) = (local("function"), local("shape"));
    let place = plan.output.place;
    let made_by =
        if plan.is_of_one_type { quote_spanned!(place=> entry_of::<Self, _>) } else { quote_spanned!(place=> entry) };
    let entry = quote_spanned!(place=> #private::#made_by(#function_name, #parts, #shape));
    let cache_name = local("cache");
    let cache = plan.cache_statement(&cache_name);
    let within = cache.as_ref().map(|_| quote_spanned!(here=> .within(#cache_name)));
    let doc = format!(" The cached value of {} for these arguments.", link(plan));
    quote_spanned! {here=>
        #[doc = #doc]
        #[must_use]
        // tidy: allow because it is emitted into the user's crate, where it may or may not be needed
        #[allow(dead_code, single_use_lifetimes, unused_lifetimes, clippy::all, clippy::pedantic)]
        #(#attrs)*
        #vis #sig {
            #cache
            let (#function_name, #shape) = #path #function();
            #entry #within
        }
    }
}

/// The arguments that the key is made of, and those that say which cache to use.
fn entry_signature(plan: &Plan<'_>) -> Signature {
    let mut sig = plan.function.sig.clone();
    sig.asyncness = None;
    sig.ident = Names::of(plan).entry;
    sig.inputs = entry_inputs(plan).collect();
    narrow(&mut sig.generics, &sig.inputs.to_token_stream());
    let (private, kept) = (plan.private(), plan.output.kept());
    sig.output = parse_quote!(-> #private::Entry<#kept>);
    sig
}

fn entry_inputs(plan: &Plan<'_>) -> impl Iterator<Item = FnArg> {
    let receiver = plan.arguments.receiver.iter().filter(|_| wants(plan, "self"));
    let others = plan.arguments.others.iter().filter_map(|argument| {
        let (name, local, ty) = (argument.name.as_ref()?, &argument.local, &argument.ty);
        wants(plan, &name.unraw().to_string()).then(|| parse_quote!(#local: #ty))
    });
    receiver.map(unchanged).map(FnArg::Receiver).chain(others)
}

/// The receiver of what does not change it: without the `mut` of `mut self`.
pub(crate) fn unchanged(receiver: &Receiver) -> Receiver {
    Receiver { mutability: None, ..receiver.clone() }
}

fn wants(plan: &Plan<'_>, name: &str) -> bool {
    plan.identity.holds(name) || for_cache(plan, name)
}

fn for_cache(plan: &Plan<'_>, name: &str) -> bool {
    plan.cache.as_ref().is_some_and(|cache| uses_variable(cache, name))
}

/// Leaves out the type parameters that nobody could infer, since no argument mentions any.
pub(crate) fn narrow(generics: &mut Generics, inputs: &TokenStream) {
    let names = |generics: &Generics| -> Vec<String> {
        let types = generics.type_params().map(|param| param.ident.to_string());
        types.chain(generics.const_params().map(|param| param.ident.to_string())).collect()
    };
    let gone = names(generics);
    if gone.iter().any(|name| mentions(inputs, name)) {
        return;
    }
    let kept = std::mem::take(&mut generics.params).into_iter();
    generics.params = kept.filter(|param| matches!(param, GenericParam::Lifetime(_))).collect();
    if let Some(clause) = &mut generics.where_clause {
        let kept = std::mem::take(&mut clause.predicates).into_iter();
        clause.predicates = kept.filter(|predicate| !gone.iter().any(|name| mentions(predicate, name))).collect();
    }
}

/// A companion that only generated code calls.
fn hidden(plan: &Plan<'_>, function: &TokenStream) -> TokenStream {
    let attrs = conditions(plan);
    quote_spanned! {Span::mixed_site()=>
        #[doc(hidden)]
        #[inline]
        // tidy: allow because it is emitted into the user's crate, where it may or may not be needed
        #[allow(dead_code, single_use_lifetimes, unused_lifetimes, clippy::all, clippy::pedantic)]
        #(#attrs)*
        #function
    }
}

/// The `cfg`s under which the function exists.
fn conditions<'a>(plan: &'a Plan<'_>) -> impl Iterator<Item = &'a Attribute> {
    plan.function.attrs.iter().filter(|attribute| attribute.path().is_ident("cfg"))
}

fn link(plan: &Plan<'_>) -> String {
    let name = plan.function.name();
    let path = if plan.companions == Companions::InSelf { "Self::" } else { "" };
    format!("[`{}`]({path}{name})", name.unraw())
}
