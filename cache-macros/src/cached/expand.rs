//! The cached function: look, and load on a miss.

use proc_macro2::{Span, TokenStream};
use quote::{ToTokens, quote, quote_spanned};
use syn::spanned::Spanned;
use syn::{FnArg, Ident, Pat, Signature};

use crate::cached::companions::{Companions, Names, companions, unchanged};
use crate::cached::descriptor::{self, event_field};
use crate::cached::load::{Cloned, Load};
use crate::cached::parts::parts;
use crate::cached::plan::Plan;
use crate::cached::policy::L1;
use crate::cached::routes::Route;
use crate::function::lenient;
use crate::local::{local, local_at};
use crate::output::{Form, typed_block};

/// The cached function and its companions.
pub(crate) fn expand(plan: &Plan<'_>) -> TokenStream {
    let mut tokens = wrapper(plan);
    tokens.extend(companions(plan));
    tokens
}

fn wrapper(plan: &Plan<'_>) -> TokenStream {
    let here = Span::mixed_site();
    let (attrs, vis) = (plan.function.attrs.iter().map(lenient), &plan.function.vis);
    let (sig, calls) = (wrapper_signature(plan), calls(plan));
    let body = match plan.output.form {
        Form::Async => calls,
        Form::Boxed => quote_spanned! {here=>
            ::std::boxed::Box::pin(async move { #calls })
        },
    };
    quote_spanned!(here=> #(#attrs)* #vis #sig { #body })
}

/// The function's own signature. A pattern gets a name, since the body takes it apart.
fn wrapper_signature(plan: &Plan<'_>) -> Signature {
    let mut sig = plan.function.sig.clone();
    if let (Some(FnArg::Receiver(receiver)), Companions::Free | Companions::InSelf) =
        (sig.inputs.first_mut(), plan.companions)
    {
        *receiver = unchanged(receiver);
    }
    let typed = sig.inputs.iter_mut().filter_map(|input| match input {
        FnArg::Typed(typed) => Some(typed),
        FnArg::Receiver(_) => None,
    });
    for (typed, argument) in typed.zip(&plan.arguments.others) {
        if is_renamed(plan, &argument.pat) {
            let local = &argument.local;
            *typed.pat = Pat::Verbatim(quote!(#local));
        }
    }
    sig
}

/// A body that stands in the function itself keeps the names that it uses.
fn is_renamed(plan: &Plan<'_>, pat: &Pat) -> bool {
    match pat {
        Pat::Ident(pat) if pat.by_ref.is_none() && pat.subpat.is_none() => plan.companions != Companions::Off,
        _ => plan.output.form == Form::Async,
    }
}

fn calls(plan: &Plan<'_>) -> TokenStream {
    let (here, private) = (Span::mixed_site(), plan.private());
    let checks = plan.routes.iter().map(|route| event_check(plan, route));
    let function = match plan.companions {
        Companions::Off => descriptor::block(plan),
        Companions::Free | Companions::InSelf => {
            let (path, name) = (plan.companions.path(), Names::of(plan).function);
            quote_spanned!(here=> #path #name())
        }
    };
    let (lookup, load) = (lookup(plan), load(plan));
    let (function_name, shape, found) = (local("function"), local("shape"), local("lookup"));
    let (value, miss) = (local("value"), local("miss"));
    quote_spanned! {here=>
        #(#checks)*
        let (#function_name, #shape) = #function;
        let #found = #lookup;
        match #found {
            #private::Lookup::Hit(#value) => #private::Shape::wrap(#shape, #value),
            #private::Lookup::Miss(#miss) => #load,
        }
    }
}

/// Never called: the compiler compares the event's fields with the arguments.
fn event_check(plan: &Plan<'_>, route: &Route) -> TokenStream {
    let here = Span::mixed_site().located_at(route.place);
    let private = plan.runtime.private_at(here);
    let (event, name) = (&route.event, local_at("event", here));
    let pairs = route.pattern.placeholders().iter().zip(&route.binds);
    let pairs = pairs.map(|(placeholder, bind)| {
        let field = event_field(placeholder, route);
        let argument = plan.identity.parts[*bind].access(route.place);
        quote_spanned!(here=> #private::same_key(&#field, &#argument);)
    });
    quote_spanned!(here=> let _ = |#name: &#event| { #(#pairs)* };)
}

fn lookup(plan: &Plan<'_>) -> TokenStream {
    let (place, private) = (plan.output.place, plan.private_for_output());
    let (function, shape) = (local("function"), local("shape"));
    let (parts, cache) = (parts(plan), local("cache"));
    let lookup = match (plan.policy.l1, plan.is_of_one_type) {
        // There is nothing to be found: the look alone would cost as much as a hit.
        (L1::Off, false) => quote_spanned!(place=> #private::no_lookup),
        (L1::Off, true) => quote_spanned!(place=> #private::no_lookup_of::<Self, _>),
        (L1::On | L1::For(_), false) => quote_spanned!(place=> #private::lookup),
        (L1::On | L1::For(_), true) => quote_spanned!(place=> #private::lookup_of::<Self, _>),
    };
    match plan.cache_statement(&cache) {
        Some(statement) => quote_spanned! {place=> {
            #statement
            #lookup(#function, #private::given(#cache), #parts, #shape)
        }},
        None => {
            quote_spanned!(place=> #lookup(#function, #private::current(), #parts, #shape))
        }
    }
}

fn load(plan: &Plan<'_>) -> TokenStream {
    let here = Span::mixed_site();
    let (shape, miss) = (local("shape"), local("miss"));
    let keeps = plan.store_if.iter();
    let store_if = keeps.map(|keeps| quote_spanned!(here=> .store_if(#shape, #keeps)));
    let miss = quote_spanned!(here=> #miss #(#store_if)*);
    let future = future(plan);
    match &plan.load {
        Load::InCaller => quote_spanned!(here=> #miss.load(#shape, move || #future).await),
        Load::Detached(cloned) if cloned.is_empty() => {
            quote_spanned!(here=> #miss.load_detached(#shape, move || #future).await)
        }
        Load::Detached(cloned) => {
            let statements = cloned.iter().map(clone_statement);
            let body = quote_spanned!(here=> { #(#statements)* async move { #future.await } });
            quote_spanned!(here=> #miss.load_detached(#shape, move || #body).await)
        }
    }
}

fn clone_statement(cloned: &Cloned) -> TokenStream {
    let Cloned { source, owned, ty } = cloned;
    let here = ty.span();
    quote_spanned!(here=> let #owned = <#ty as ::std::borrow::ToOwned>::to_owned(#source);)
}

/// The future of the original body.
fn future(plan: &Plan<'_>) -> TokenStream {
    match (plan.companions, plan.output.form) {
        (Companions::Free | Companions::InSelf, _) => call_uncached(plan),
        (Companions::Off, Form::Async) => inline_body(plan),
        (Companions::Off, Form::Boxed) => plan.body.to_token_stream(),
    }
}

fn call_uncached(plan: &Plan<'_>) -> TokenStream {
    let here = Span::mixed_site();
    let (path, name) = (plan.companions.path(), Names::of(plan).uncached);
    let generics = turbofish(plan);
    let receiver = plan.arguments.receiver.iter().map(|receiver| Ident::from(receiver.self_token));
    let others = plan.arguments.others.iter().map(|argument| argument.local.clone());
    let arguments = receiver.chain(others).map(|name| {
        let mut cloned = plan.load.cloned().iter();
        match cloned.find(|cloned| cloned.source == name).map(|cloned| &cloned.owned) {
            Some(owned) => quote_spanned!(here=> &#owned),
            None => name.into_token_stream(),
        }
    });
    quote_spanned!(here=> #path #name #generics(#(#arguments),*))
}

/// Type parameters that no argument mentions cannot be inferred. They stand in the order in which they are declared.
fn turbofish(plan: &Plan<'_>) -> TokenStream {
    let names: Vec<_> = plan.function.type_parameters().collect();
    if names.is_empty() { TokenStream::new() } else { quote_spanned!(Span::mixed_site()=> ::<#(#names),*>) }
}

/// The body in a block of its own, under the names that it uses.
fn inline_body(plan: &Plan<'_>) -> TokenStream {
    let here = Span::mixed_site();
    let borrowed = plan.load.cloned().iter().map(|cloned| {
        let Cloned { source, owned, .. } = cloned;
        quote_spanned!(here=> let #source = &#owned;)
    });
    let patterns = plan.arguments.others.iter().filter(|one| one.name.is_none()).map(|argument| {
        let (pat, local) = (&argument.pat, &argument.local);
        quote_spanned!(here=> let #pat = #local;)
    });
    let names = borrowed.chain(patterns).collect();
    typed_block(&plan.runtime, &plan.output.ty, &names, &plan.body)
}
