//! `#[derive(Event)]`.

use cache_spec::name;
use proc_macro2::{Span, TokenStream};
use quote::quote_spanned;
use syn::ext::IdentExt;
use syn::{Data, DeriveInput, Fields, Ident, LitStr, Path};

use crate::diagnostics::Diagnostics;
use crate::keys::{Given, Grammar, Key, assigned, assigned_path, read_helpers};
use crate::runtime::Runtime;

/// The arguments of `#[event(..)]`.
#[derive(Default)]
pub(crate) struct Args {
    name: Option<Given<LitStr>>,
    runtime: Option<Given<Path>>,
}

const GRAMMAR: Grammar<Args> = Grammar { attribute: "event", keys: KEYS, other: None };

pub(crate) const KEYS: &[Key<Args>] = &[
    Key {
        name: "name",
        form: r#"name = "user.updated""#,
        available: true,
        meaning: "the name by which every process knows the event; without it, the type's own",
        read: |args, key, input| {
            args.name = Some(Given { key, value: assigned(input)? });
            Ok(())
        },
    },
    Key {
        name: "crate",
        form: "crate = my_crate::cache_runtime",
        available: true,
        meaning: "where `cache_runtime` is, when it is renamed or re-exported",
        read: |args, key, input| {
            args.runtime = Some(Given { key, value: assigned_path(input)? });
            Ok(())
        },
    },
];

/// An event type of which every mistake has been refused.
struct Plan<'a> {
    ident: &'a Ident,
    name: String,
    fields: Vec<String>,
    runtime: Runtime,
}

/// Expands `#[derive(Event)]`.
pub(crate) fn derive(input: &DeriveInput) -> TokenStream {
    let mut diagnostics = Diagnostics::default();
    let args = read_helpers(&GRAMMAR, &input.attrs, &mut diagnostics);
    let runtime = Runtime::of(args.runtime.as_ref());
    let plan = Plan::check(&args, input, &mut diagnostics);
    match diagnostics.finish(plan) {
        Ok(plan) => plan.expand(),
        Err(error) => {
            let mut tokens = error.into_compile_error();
            tokens.extend(fallback(input, &runtime));
            tokens
        }
    }
}

/// Where an event is mistaken, its users are not: to them it remains one.
fn fallback(input: &DeriveInput, runtime: &Runtime) -> TokenStream {
    if !input.generics.params.is_empty() {
        return TokenStream::new();
    }
    let (private, ident) = (runtime.private(), &input.ident);
    quote_spanned! {Span::mixed_site()=>
        impl #private::Event for #ident { const NAME: &'static str = ""; }
    }
}

impl<'a> Plan<'a> {
    fn check(args: &Args, input: &'a DeriveInput, diagnostics: &mut Diagnostics) -> Option<Self> {
        let ident = &input.ident;
        if !input.generics.params.is_empty() {
            let message =
                format!("`{ident}` is generic, and an event is one type with one name; write a type for each use");
            diagnostics.report(ident.span(), message);
        }
        let name = match &args.name {
            Some(given) => {
                let name = given.value.value();
                diagnostics.accept_text(&given.value, name::check_event(&name).map(|()| name.clone()))
            }
            None => own_name(ident, diagnostics),
        };
        let fields = fields(input, diagnostics);
        Some(Self { ident, name: name?, fields: fields?, runtime: Runtime::of(args.runtime.as_ref()) })
    }

    fn expand(&self) -> TokenStream {
        let Self { ident, name, fields, runtime } = self;
        let private = runtime.private();
        let type_name = ident.unraw().to_string();
        let here = Span::mixed_site();
        let line = quote_spanned!(ident.span()=> ::core::line!());
        quote_spanned! {here=>
            impl #private::Event for #ident {
                const NAME: &'static str = #name;
            }
            #private::inventory::submit! {
                #private::RegisteredEvent {
                    name: #name,
                    type_name: #type_name,
                    fields: &[#(#fields),*],
                    module: ::core::module_path!(),
                    file: ::core::file!(),
                    line: #line,
                }
            }
        }
    }
}

fn own_name(ident: &Ident, diagnostics: &mut Diagnostics) -> Option<String> {
    let name = ident.unraw().to_string();
    let checked = name::check_event(&name);
    let advice = "; or give it one: `#[event(name = \"..\")]`";
    checked.map_err(|mistake| diagnostics.report(ident.span(), format!("{mistake}{advice}"))).ok()?;
    Some(name)
}

fn fields(input: &DeriveInput, diagnostics: &mut Diagnostics) -> Option<Vec<String>> {
    let ident = &input.ident;
    let refusal = match &input.data {
        Data::Struct(data) => match &data.fields {
            Fields::Named(fields) => {
                let names = fields.named.iter().filter_map(|field| field.ident.as_ref());
                return Some(names.map(|name| name.unraw().to_string()).collect());
            }
            Fields::Unit => return Some(Vec::new()),
            Fields::Unnamed(_) => format!(
                "`{ident}` has fields without names, and keys find an event's fields by name; write `struct {ident} {{ id: .. }}`"
            ),
        },
        Data::Enum(_) => {
            format!("`{ident}` is an enum, and an event is one thing that happens; write a struct for each variant")
        }
        Data::Union(_) => format!("`{ident}` is a union, which cannot be sent; write a struct"),
    };
    diagnostics.report(ident.span(), refusal);
    None
}
