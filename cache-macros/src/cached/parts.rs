//! The parts of the key, as the runtime takes them.

use proc_macro2::{Span, TokenStream};
use quote::{ToTokens, quote_spanned};
use syn::ext::IdentExt;
use syn::{Generics, Ident};

use crate::arguments::Argument;
use crate::cached::companions::{Companions, Names, narrow};
use crate::cached::identity::Part;
use crate::cached::plan::Plan;
use crate::local::local;

/// A reference to the parts. Nothing is asked of them here, if there is a companion that answers for them.
pub(crate) fn parts(plan: &Plan<'_>) -> TokenStream {
    let here = Span::mixed_site();
    if !has_function(plan) {
        let parts = plan.identity.parts.iter().map(|part| reference(plan, part));
        return quote_spanned!(plan.identity.text.span()=> &(#(#parts,)*));
    }
    let (path, name) = (plan.companions.path(), Names::of(plan).parts);
    let receiver = receiver(plan);
    let named = arguments(plan).map(|argument| argument.local.to_token_stream());
    let values = receiver.map(ToTokens::into_token_stream).into_iter().chain(named);
    let hashed = plan.identity.parts.iter().filter(|part| part.hashed);
    let hashed = hashed.map(|part| reference(plan, part));
    let values = values.map(|value| quote_spanned!(here=> &#value)).chain(hashed);
    quote_spanned!(here=> &#path #name(#(#values),*))
}

/// The companion that makes the parts. Whoever calls it sees parts, not which: so an argument that cannot stand in a key
/// is an error here only, shown at the key.
pub(crate) fn function(plan: &Plan<'_>) -> Option<TokenStream> {
    if !has_function(plan) {
        return None;
    }
    let (here, place) = (Span::mixed_site(), plan.identity.text.span());
    let private = plan.private();
    let name = Names::of(plan).parts;
    let receiver = receiver(plan).map(|this| quote_spanned!(here=> &#this));
    let named = arguments(plan).map(|argument| {
        let (local, ty) = (&argument.local, &argument.ty);
        quote_spanned!(here=> #local: &#ty)
    });
    let hashed = (0..plan.identity.parts.len()).filter(|number| plan.identity.parts[*number].hashed);
    let hashed = hashed.map(|number| {
        let local = numbered(number);
        quote_spanned!(here=> #local: &(impl #private::KeyPart + ?Sized))
    });
    let parameters: Vec<_> = receiver.into_iter().chain(named).chain(hashed).collect();
    let generics = generics(plan, &parameters);
    let (generics, clause) = (&generics, &generics.where_clause);
    let values = plan.identity.parts.iter().enumerate().map(|(number, part)| match part {
        Part { hashed: true, .. } => numbered(number).to_token_stream(),
        Part { fields, .. } if fields.is_empty() => part.access(place).to_token_stream(),
        Part { .. } => reference(plan, part),
    });
    let values = quote_spanned!(place=> (#(#values,)*));
    // With the edition of this crate, the parts may borrow from all arguments.
    let output = quote_spanned!(here.located_at(place)=> impl #private::Parts);
    Some(quote_spanned! {here=>
        fn #name #generics(#(#parameters),*) -> #output #clause {
            #values
        }
    })
}

/// A reference to one part.
pub(crate) fn reference_to(plan: &Plan<'_>, value: &impl ToTokens, hashed: bool, place: Span) -> TokenStream {
    let private = plan.runtime.private_at(place);
    if hashed {
        return quote_spanned!(place=> &#private::Hashed(&#value));
    }
    quote_spanned!(place=> &#value)
}

fn reference(plan: &Plan<'_>, part: &Part) -> TokenStream {
    let place = plan.identity.text.span();
    reference_to(plan, &part.access(place), part.hashed, place)
}

fn has_function(plan: &Plan<'_>) -> bool {
    plan.companions != Companions::Off && !plan.identity.parts.is_empty()
}

/// The arguments that stand in the key as they are, or a field of which does.
fn arguments<'a>(plan: &'a Plan<'_>) -> impl Iterator<Item = &'a Argument> {
    let named = |name: &str| plan.identity.parts.iter().any(|part| !part.hashed && part.root.unraw() == name);
    plan.arguments
        .others
        .iter()
        .filter(move |argument| argument.name.as_ref().is_some_and(|name| named(&name.unraw().to_string())))
}

/// `self`, if a field of it stands in the key.
fn receiver<'a>(plan: &'a Plan<'_>) -> Option<&'a Ident> {
    let part = plan.identity.parts.iter().find(|part| !part.hashed && part.root == "self");
    part.map(|part| &part.root)
}

fn numbered(number: usize) -> Ident {
    local(&format!("part{number}"))
}

fn generics(plan: &Plan<'_>, parameters: &[TokenStream]) -> Generics {
    let mut generics = plan.function.sig.generics.clone();
    narrow(&mut generics, &quote_spanned!(Span::mixed_site()=> #(#parameters),*));
    generics
}
