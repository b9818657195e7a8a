//! The static that tells the runtime what the attribute says.

use cache_spec::pattern::PatternPiece;
use cache_spec::template::Piece;
use proc_macro2::{Literal, Span, TokenStream};
use quote::{ToTokens, quote_spanned};
use syn::Ident;
use syn::ext::IdentExt;

use crate::cached::companions::Companions;
use crate::cached::identity::member;
use crate::cached::parts::reference_to;
use crate::cached::plan::Plan;
use crate::cached::policy::{L1, Millis};
use crate::cached::routes::Route;
use crate::local::{local, local_at};
use crate::mention::mentions;
use crate::output::readable;

/// A function that gives the static and the output's shape. Whoever calls it sees that there is a shape, not which: so an
/// output that cannot be kept is an error here only.
pub(crate) fn function(plan: &Plan<'_>, name: &Ident) -> TokenStream {
    let (here, place) = (Span::mixed_site(), plan.output.place);
    let output = plan.private_for_output();
    let ty = &plan.output.ty;
    // The entry says what it keeps, so there the guess is checked.
    let kept = Some(plan.output.kept()).filter(|_| plan.companions != Companions::Off);
    let kept = kept.map(|kept| quote_spanned!(place=> , Kept = #kept));
    let shape = quote_spanned!(place=> impl #output::Shape<Output = #ty #kept>);
    let both_types = quote_spanned!(place=> (&'static #output::Function, #shape));
    let statics = statics(plan);
    let both = quote_spanned!(place=> (&FUNCTION, #output::shape!(#ty)));
    quote_spanned! {here=>
        fn #name() -> #both_types {
            #statics
            #both
        }
    }
}

/// A block that gives the same, where there is no place for a function.
pub(crate) fn block(plan: &Plan<'_>) -> TokenStream {
    let here = Span::mixed_site();
    if plan.is_associated {
        // The output may name `Self` or a parameter of the `impl`, which a function of its own cannot.
        let (output, ty) = (plan.private_for_output(), &plan.output.ty);
        let statics = statics(plan);
        return quote_spanned!(here=> { #statics (&FUNCTION, #output::shape!(#ty)) });
    }
    let name = local("function");
    let function = function(plan, &name);
    quote_spanned!(here=> { #function #name() })
}

/// The static and its registration.
fn statics(plan: &Plan<'_>) -> TokenStream {
    let (here, private, spec) = (Span::mixed_site(), plan.private(), spec(plan));
    quote_spanned! {here=>
        static FUNCTION: #private::Function = #private::Function::new(#spec);
        #private::inventory::submit! { #private::Registered(&FUNCTION) }
    }
}

fn spec(plan: &Plan<'_>) -> TokenStream {
    let here = Span::mixed_site();
    let private = plan.private();
    let name = plan.function.name().unraw().to_string();
    let line = quote_spanned!(plan.function.name().span()=> ::core::line!());
    let template = plan.identity.text.value();
    let pieces = plan.identity.template.pieces().iter().map(|piece| template_piece(plan, piece));
    let policy = &plan.policy;
    let version = Literal::u32_unsuffixed(policy.version);
    let jitter = Literal::u8_unsuffixed(policy.jitter.percent());
    let l2 = policy.l2;
    let ttl = millis(policy.ttl);
    let negative_ttl = optional(policy.negative_ttl.map(millis));
    let load_timeout = optional(policy.load_timeout.map(millis));
    let stale_while_revalidate = optional(policy.stale_while_revalidate.map(millis));
    let l1 = l1(plan);
    let routes = plan.routes.iter().map(|one| route(plan, one));
    let output = optional(output_type(plan));
    let output_tokens = readable(&plan.output.ty);
    quote_spanned! {here=>
        #private::Spec {
            name: #name,
            module: ::core::module_path!(),
            file: ::core::file!(),
            line: #line,
            template: #template,
            pieces: &[#(#pieces),*],
            version: #version,
            ttl_millis: #ttl,
            jitter: #jitter,
            negative_ttl_millis: #negative_ttl,
            load_timeout_millis: #load_timeout,
            stale_while_revalidate_millis: #stale_while_revalidate,
            l1: #l1,
            l2: #l2,
            routes: &[#(#routes),*],
            output: #output,
            output_tokens: #output_tokens,
        }
    }
}

fn route(plan: &Plan<'_>, route: &Route) -> TokenStream {
    let here = Span::mixed_site().located_at(route.place);
    let private = plan.runtime.private_at(here);
    let event = &route.event;
    let pattern = route.pattern.to_string();
    let pieces = route.pattern.pieces().iter().map(|piece| pattern_piece(plan, piece));
    let binds = route.binds.iter().map(|bind| Literal::usize_unsuffixed(*bind));
    let (event_name, key) = (local_at("event", here), local_at("key", here));
    let (values, checks) = (values(plan, route), field_checks(plan, route));
    quote_spanned! {here=>
        #private::Route {
            event: <#event as #private::Event>::NAME,
            event_type: || ::core::any::TypeId::of::<#event>(),
            pattern: #pattern,
            pieces: &[#(#pieces),*],
            binds: &[#(#binds),*],
            render: |#event_name, #key| {
                #private::render_route::<#event>(#event_name, #key, |#event_name, #key| {
                    #checks
                    #key.values(&#values);
                });
            },
        }
    }
}

/// Never called. The cached function asks the same; in the same words at the same place, the compiler says it once.
fn field_checks(plan: &Plan<'_>, route: &Route) -> TokenStream {
    let here = Span::mixed_site().located_at(route.place);
    let private = plan.runtime.private_at(here);
    let fields = route.pattern.placeholders().iter().map(|one| event_field(one, route));
    let checks = fields.map(|field| quote_spanned!(here=> #private::same_key(&#field, &#field);));
    quote_spanned!(here=> let _ = || { #(#checks)* };)
}

/// The event's fields, as the runtime wants the parts of a key.
fn values(plan: &Plan<'_>, route: &Route) -> TokenStream {
    let here = Span::mixed_site().located_at(route.place);
    let placeholders = route.pattern.placeholders().iter();
    let values = placeholders.map(|placeholder| {
        let field = event_field(placeholder, route);
        reference_to(plan, &field, placeholder.hashed(), here)
    });
    quote_spanned!(here=> (#(#values,)*))
}

/// `event.order.id`.
pub(crate) fn event_field(placeholder: &cache_spec::template::Placeholder, route: &Route) -> TokenStream {
    let here = Span::mixed_site().located_at(route.place);
    let event = local_at("event", route.place);
    let names = std::iter::once(placeholder.root()).chain(placeholder.fields().iter().map(String::as_str));
    let members = names.map(|name| member(name, here));
    quote_spanned!(here=> #event #(.#members)*)
}

fn template_piece(plan: &Plan<'_>, piece: &Piece) -> TokenStream {
    let (here, private) = (Span::mixed_site(), plan.private());
    match piece {
        Piece::Literal(text) => quote_spanned!(here=> #private::Piece::Literal(#text)),
        Piece::Value(number) => {
            let number = Literal::usize_unsuffixed(*number);
            quote_spanned!(here=> #private::Piece::Value(#number))
        }
    }
}

fn pattern_piece(plan: &Plan<'_>, piece: &PatternPiece) -> TokenStream {
    let (here, private) = (Span::mixed_site(), plan.private());
    match piece {
        PatternPiece::Literal(text) => {
            quote_spanned!(here=> #private::PatternPiece::Literal(#text))
        }
        PatternPiece::Value(number) => {
            let number = Literal::usize_unsuffixed(*number);
            quote_spanned!(here=> #private::PatternPiece::Value(#number))
        }
        PatternPiece::Any => quote_spanned!(here=> #private::PatternPiece::Any),
    }
}

fn l1(plan: &Plan<'_>) -> TokenStream {
    let (here, private) = (Span::mixed_site(), plan.private());
    match plan.policy.l1 {
        L1::On => quote_spanned!(here=> #private::L1::On),
        L1::Off => quote_spanned!(here=> #private::L1::Off),
        L1::For(time) => {
            let time = millis(time);
            quote_spanned!(here=> #private::L1::For(#time))
        }
    }
}

/// The type, where a static can name it.
fn output_type(plan: &Plan<'_>) -> Option<TokenStream> {
    if mentions(&plan.output.ty, "Self") {
        return None;
    }
    let kept = plan.output.kept();
    Some(quote_spanned! {Span::mixed_site()=>
        || (::core::any::TypeId::of::<#kept>(), ::core::any::type_name::<#kept>())
    })
}

fn optional(value: Option<impl ToTokens>) -> TokenStream {
    let here = Span::mixed_site();
    value.map_or_else(
        || quote_spanned!(here=> ::core::option::Option::None),
        |value| quote_spanned!(here=> ::core::option::Option::Some(#value)),
    )
}

fn millis(time: Millis) -> Literal {
    Literal::u64_unsuffixed(time.0)
}
