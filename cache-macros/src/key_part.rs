//! `#[derive(KeyPart)]`.

use proc_macro2::{Literal, Span, TokenStream};
use quote::{ToTokens, quote_spanned};
use syn::ext::IdentExt;
use syn::{
    Data, DataEnum, DeriveInput, Field, Fields, Generics, Ident, Index, Member, Path, Type, Variant,
    parse_quote_spanned,
};

use crate::diagnostics::Diagnostics;
use crate::keys::{Given, Grammar, Key, assigned_path, read_helpers};
use crate::local::{local, local_at};
use crate::mention::mentions;
use crate::output::bare;
use crate::runtime::Runtime;

/// The arguments of `#[key_part(..)]`.
#[derive(Default)]
pub(crate) struct Args {
    runtime: Option<Given<Path>>,
}

const GRAMMAR: Grammar<Args> = Grammar { attribute: "key_part", keys: KEYS, other: None };

pub(crate) const KEYS: &[Key<Args>] = &[Key {
    name: "crate",
    form: "crate = my_crate::cache_runtime",
    available: true,
    meaning: "where `cache_runtime` is, when it is renamed or re-exported",
    read: |args, key, input| {
        args.runtime = Some(Given { key, value: assigned_path(input)? });
        Ok(())
    },
}];

/// A key part of which every mistake has been refused.
struct Plan<'a> {
    input: &'a DeriveInput,
    content: Content<'a>,
    runtime: Runtime,
}

/// What is written into the key.
enum Content<'a> {
    /// A newtype: what its one field writes.
    Newtype(Member, &'a Type),
    /// The fields of a struct.
    Fields(Vec<(Member, &'a Type)>),
    /// The variants of an enum.
    Variants(&'a DataEnum),
}

/// Expands `#[derive(KeyPart)]`.
pub(crate) fn derive(input: &DeriveInput) -> TokenStream {
    let mut diagnostics = Diagnostics::default();
    let args = read_helpers(&GRAMMAR, &input.attrs, &mut diagnostics);
    let runtime = Runtime::of(args.runtime.as_ref());
    let content = content(input, &mut diagnostics);
    let plan = content.map(|content| Plan { input, content, runtime });
    diagnostics.finish(plan).map_or_else(syn::Error::into_compile_error, |plan| plan.expand())
}

fn content<'a>(input: &'a DeriveInput, diagnostics: &mut Diagnostics) -> Option<Content<'a>> {
    let ident = &input.ident;
    let refusal = match &input.data {
        Data::Struct(data) => {
            let mut fields = written(&data.fields);
            match fields.len() {
                0 => format!("`{ident}` holds nothing that tells two of them apart; a key part has a field"),
                1 => {
                    return fields.pop().map(|(member, ty)| Content::Newtype(member, ty));
                }
                _ => return Some(Content::Fields(fields)),
            }
        }
        Data::Enum(data) if data.variants.is_empty() => {
            format!("`{ident}` has no variant, so no key can hold one")
        }
        Data::Enum(data) => return Some(Content::Variants(data)),
        Data::Union(_) => {
            format!("`{ident}` is a union, whose content nobody knows; derive `KeyPart` for an enum or a struct")
        }
    };
    diagnostics.report(ident.span(), refusal);
    None
}

impl Plan<'_> {
    fn expand(&self) -> TokenStream {
        let here = Span::mixed_site();
        let ident = &self.input.ident;
        let private = self.runtime.private();
        let bounded = self.bounded();
        let (generics, arguments, clause) = bounded.split_for_impl();
        let (key, write) = (local("key"), self.write());
        quote_spanned! {here=>
            impl #generics #private::KeyPart for #ident #arguments #clause {
                type Canonical = Self;

                fn write(&self, #key: &mut #private::KeyWriter<'_>) {
                    #write
                }
            }
        }
    }

    /// Fields of a type that the generics decide must be key parts.
    fn bounded(&self) -> Generics {
        let mut generics = self.input.generics.clone();
        let params: Vec<String> = generics.type_params().map(|param| param.ident.to_string()).collect();
        let open = self.types().into_iter().filter(|ty| params.iter().any(|param| mentions(ty, param)));
        let private = self.runtime.private();
        let open: Vec<_> = open.cloned().collect();
        if !open.is_empty() {
            let clause = generics.make_where_clause();
            let bounds = open.iter().map(|ty| parse_quote_spanned!(Span::mixed_site()=> #ty: #private::KeyPart));
            clause.predicates.extend(bounds.collect::<Vec<syn::WherePredicate>>());
        }
        generics
    }

    fn types(&self) -> Vec<&Type> {
        match &self.content {
            Content::Newtype(_, ty) => vec![ty],
            Content::Fields(fields) => fields.iter().map(|(_, ty)| *ty).collect(),
            Content::Variants(data) => {
                let fields = data.variants.iter().flat_map(|variant| written(&variant.fields));
                fields.map(|(_, ty)| ty).collect()
            }
        }
    }

    fn write(&self) -> TokenStream {
        let here = Span::mixed_site();
        let (private, key) = (self.runtime.private(), local("key"));
        match &self.content {
            Content::Newtype(member, ty) => {
                quote_spanned!(here=> <#ty as #private::KeyPart>::write(&self.#member, #key);)
            }
            Content::Fields(fields) => {
                let items = fields.iter().map(|(member, ty)| item(ty, &quote_spanned!(here=> &self.#member)));
                quote_spanned!(here=> #key.tuple(|#key| { #(#items)* });)
            }
            Content::Variants(data) => {
                let arms = data.variants.iter().zip(0..).map(|(variant, place)| arm(variant, place));
                quote_spanned!(here=> match self { #(#arms)* })
            }
        }
    }
}

fn arm(variant: &Variant, place: u32) -> TokenStream {
    let here = Span::mixed_site();
    let (ident, place) = (&variant.ident, Literal::u32_unsuffixed(place));
    let name = ident.unraw().to_string();
    let fields = written(&variant.fields);
    let (members, types): (Vec<_>, Vec<_>) = fields.into_iter().unzip();
    let locals: Vec<Ident> = (0..members.len()).map(|number| local(&format!("field{number}"))).collect();
    let items = types.iter().zip(&locals).map(|(ty, local)| item(ty, local));
    let key = local("key");
    let inner = if members.is_empty() { quote_spanned!(here=> _) } else { key.to_token_stream() };
    quote_spanned! {here=>
        Self::#ident { #(#members: #locals,)* .. } => {
            #key.variant(#place, #name, |#inner| { #(#items)* });
        }
    }
}

/// One value inside a tuple or variant; an error about its type points at it.
fn item(ty: &Type, value: &impl ToTokens) -> TokenStream {
    let first = ty.to_token_stream().into_iter().next().map_or_else(Span::call_site, |token| token.span());
    let key = local_at("key", first);
    quote_spanned!(Span::mixed_site().located_at(first)=> #key.item::<#ty>(#value);)
}

/// The fields that hold values.
fn written(fields: &Fields) -> Vec<(Member, &Type)> {
    let member = |(number, field): (usize, &Field)| match &field.ident {
        Some(name) => Member::Named(name.clone()),
        None => Member::Unnamed(Index::from(number)),
    };
    let all = fields.iter().enumerate().map(|(number, field)| (member((number, field)), &field.ty));
    all.filter(|(_, ty)| !is_marker(ty)).collect()
}

/// `PhantomData` tells types apart, not values.
fn is_marker(ty: &Type) -> bool {
    let Type::Path(path) = bare(ty) else {
        return false;
    };
    path.path.segments.last().is_some_and(|last| last.ident == "PhantomData")
}
