//! The publishing function: run the body, and publish what came of it.

use proc_macro2::{Group, Ident, Span, TokenStream, TokenTree};
use quote::{ToTokens, quote_spanned};
use syn::spanned::Spanned;
use syn::{Expr, Index};

use crate::emits::plan::Plan;
use crate::local::{local, local_at};
use crate::output::{Form, typed_block};

/// The function, publishing.
pub(crate) fn expand(plan: &Plan<'_>) -> TokenStream {
    let here = Span::mixed_site();
    let function = plan.function;
    let (attrs, vis, sig) = (&function.attrs, &function.vis, &function.sig);
    let steps = steps(plan);
    let body = match plan.output.form {
        Form::Async => steps,
        Form::Boxed => quote_spanned!(here=> ::std::boxed::Box::pin(async move { #steps })),
    };
    quote_spanned!(here=> #(#attrs)* #vis #sig { #body })
}

fn steps(plan: &Plan<'_>) -> TokenStream {
    let here = Span::mixed_site();
    let (private, ty) = (plan.runtime.private(), &plan.output.ty);
    let (keep, take) = (keep(plan), take(plan));
    let body = body(plan);
    let result = result(plan);
    let events = plan.events.iter().map(|event| after(plan, event));
    let (output, published) = (local("output"), local("events"));
    let publish = (0..plan.events.len()).map(|number| publish(plan, number));
    quote_spanned! {here=>
        #keep
        let #output = #body.await;
        #take
        // tidy: allow because it is emitted into the user's crate, where it may or may not be needed
        #[allow(unused_variables)]
        let #published = match #private::emitted(#private::outcome!(#ty), &#output) {
            ::core::option::Option::Some(#result) => ::core::option::Option::Some((#(#events,)*)),
            ::core::option::Option::None => ::core::option::Option::None,
        };
        if let ::core::option::Option::Some(#published) = #published {
            #(#publish)*
        }
        #output
    }
}

/// Clones what the events use, before the body takes it.
fn keep(plan: &Plan<'_>) -> TokenStream {
    let here = Span::mixed_site();
    let clones = plan.kept.iter().map(|name| clone(&name.to_token_stream(), name.span()));
    let this = plan.receiver.cloned().map(|receiver| {
        let this = local("this");
        let clone = clone(&receiver.to_token_stream(), here);
        quote_spanned!(here=> let #this = #clone;)
    });
    let kept = local("kept");
    quote_spanned!(here=> #this let #kept = (#(#clones,)*);)
}

fn clone(name: &TokenStream, place: Span) -> TokenStream {
    let here = Span::mixed_site().located_at(place);
    quote_spanned!(here=> ::core::clone::Clone::clone(&#name))
}

/// Gives the clones the names under which the events know them.
fn take(plan: &Plan<'_>) -> TokenStream {
    let (names, kept) = (&plan.kept, local("kept"));
    // tidy: allow because it is emitted into the user's crate, where it may or may not be needed
    quote_spanned!(Span::mixed_site()=> #[allow(unused_variables, clippy::shadow_reuse, clippy::shadow_same, clippy::shadow_unrelated)]
        let (#(#names,)*) = #kept;)
}

fn body(plan: &Plan<'_>) -> TokenStream {
    match plan.output.form {
        Form::Async => typed_block(&plan.runtime, &plan.output.ty, &TokenStream::new(), &plan.body),
        Form::Boxed => plan.body.to_token_stream(),
    }
}

/// `result`, which the events may name.
fn result(plan: &Plan<'_>) -> Ident {
    let place = plan.events.first().map_or_else(Span::call_site, Spanned::span);
    Ident::new("result", Span::call_site().resolved_at(place))
}

fn publish(plan: &Plan<'_>, number: usize) -> TokenStream {
    let here = Span::mixed_site().located_at(plan.events[number].span());
    let (private, events) = (plan.runtime.private_at(here), local_at("events", here));
    let event = Index { index: u32::try_from(number).expect("an attribute is not that long"), span: here };
    let event = quote_spanned!(here=> &#events.#event);
    plan.cache.as_ref().map_or_else(
        || quote_spanned!(here=> #private::emit(#event).await;),
        |cache| {
            let cache = after(plan, cache);
            quote_spanned!(here=> #private::emit_on(&(#cache), #event).await;)
        },
    )
}

/// An expression as it is evaluated after the body.
fn after(plan: &Plan<'_>, expression: &Expr) -> TokenStream {
    match plan.receiver.cloned() {
        Some(_) => renamed(expression.to_token_stream(), &local("this")),
        None => expression.to_token_stream(),
    }
}

/// The code with another name for `self`.
fn renamed(code: TokenStream, this: &Ident) -> TokenStream {
    let rename = |token| match token {
        TokenTree::Ident(word) if word == "self" => TokenTree::Ident(this.clone()),
        TokenTree::Group(group) => {
            let mut inside = Group::new(group.delimiter(), renamed(group.stream(), this));
            inside.set_span(group.span());
            TokenTree::Group(inside)
        }
        other @ (TokenTree::Ident(_) | TokenTree::Punct(_) | TokenTree::Literal(_)) => other,
    };
    code.into_iter().map(rename).collect()
}
