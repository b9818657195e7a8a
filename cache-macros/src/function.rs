//! A function as it was written: its signature parsed, its body left as tokens.

use proc_macro2::{Group, Span, TokenStream};
use quote::{ToTokens, TokenStreamExt};
use syn::parse::{Parse, ParseStream};
use syn::{Attribute, FnArg, GenericParam, Ident, Meta, ReturnType, Signature, Token, Visibility, parse_quote_spanned};

use crate::diagnostics::Diagnostics;

/// The item under an attribute.
pub(crate) struct Function {
    pub(crate) attrs: Vec<Attribute>,
    pub(crate) vis: Visibility,
    pub(crate) sig: Signature,
    pub(crate) body: Option<Group>,
    /// For each argument, `self` included: where `#[cache(..)]` stood, and what was in it.
    pub(crate) marks: Vec<Option<Attribute>>,
}

impl Parse for Function {
    fn parse(input: ParseStream<'_>) -> syn::Result<Self> {
        let attrs = input.call(Attribute::parse_outer)?;
        let vis = input.parse()?;
        let mut sig: Signature = input.parse()?;
        let marks = sig.inputs.iter_mut().map(take_mark).collect();
        let ends = input.parse::<Option<Token![;]>>()?.is_some();
        let body = if ends { None } else { Some(input.parse()?) };
        Ok(Self { attrs, vis, sig, body, marks })
    }
}

impl Function {
    /// Reads the item, or gives back what to emit instead: why it is none, and the item itself.
    ///
    /// # Errors
    /// When the item is no function.
    pub(crate) fn read(attribute: &str, item: TokenStream) -> Result<Self, TokenStream> {
        syn::parse2(item.clone()).map_err(|error| {
            let message = format!("`#[{attribute}]` stands on an `async fn`, not here: {error}");
            let mut tokens = syn::Error::new(error.span(), message).into_compile_error();
            tokens.extend(item);
            tokens
        })
    }

    pub(crate) fn name(&self) -> &Ident {
        &self.sig.ident
    }

    /// The names of the type and const parameters, in the order of their declaration.
    pub(crate) fn type_parameters(&self) -> impl Iterator<Item = &Ident> {
        self.sig.generics.params.iter().filter_map(|param| match param {
            GenericParam::Type(param) => Some(&param.ident),
            GenericParam::Const(param) => Some(&param.ident),
            GenericParam::Lifetime(_) => None,
        })
    }

    /// The body, braces included.
    pub(crate) fn body(&self, attribute: &str, diagnostics: &mut Diagnostics) -> Option<Group> {
        if self.body.is_none() {
            let message = format!(
                "`#[{attribute}]` needs a body; in a trait, put it on a default method or on the methods of the `impl`"
            );
            diagnostics.report(self.name().span(), message);
        }
        self.body.clone()
    }

    /// Where an error about the output belongs.
    pub(crate) fn output_span(&self) -> Span {
        match &self.sig.output {
            ReturnType::Default => self.name().span(),
            ReturnType::Type(_, output) => syn::spanned::Spanned::span(output),
        }
    }

    /// The attributes that hold for the body too: lints and `cfg`.
    pub(crate) fn inherited_attrs(&self) -> impl Iterator<Item = &Attribute> {
        self.attrs.iter().filter(|attribute| is_inherited(attribute))
    }
}

/// The function is emitted even when its attribute is mistaken, so that one mistake is one error.
impl ToTokens for Function {
    fn to_tokens(&self, tokens: &mut TokenStream) {
        let Self { attrs, vis, sig, body, marks: _ } = self;
        tokens.append_all(attrs);
        vis.to_tokens(tokens);
        sig.to_tokens(tokens);
        match body {
            Some(body) => body.to_tokens(tokens),
            None => <Token![;]>::default().to_tokens(tokens),
        }
    }
}

fn take_mark(argument: &mut FnArg) -> Option<Attribute> {
    let attrs = match argument {
        FnArg::Receiver(receiver) => &mut receiver.attrs,
        FnArg::Typed(typed) => &mut typed.attrs,
    };
    let at = attrs.iter().position(|attribute| attribute.path().is_ident("cache"))?;
    Some(attrs.remove(at))
}

const INHERITED: [&str; 6] = ["allow", "expect", "warn", "deny", "forbid", "cfg"];

fn is_inherited(attribute: &Attribute) -> bool {
    if INHERITED.iter().any(|name| attribute.path().is_ident(name)) {
        return true;
    }
    // `cfg_attr(condition, allow(..))`: all that it gives must be inherited.
    let Meta::List(list) = &attribute.meta else {
        return false;
    };
    attribute.path().is_ident("cfg_attr") && list.parse_args_with(given_by_cfg_attr).is_ok_and(|all| all)
}

fn given_by_cfg_attr(input: ParseStream<'_>) -> syn::Result<bool> {
    let metas = input.parse_terminated(Meta::parse, Token![,])?;
    let given = metas.iter().skip(1);
    Ok(given.map(Meta::path).all(|path| INHERITED.iter().any(|name| path.is_ident(name))))
}

/// The attribute for one of two copies of a function: what is expected of both is found in one of them only.
pub(crate) fn lenient(attribute: &Attribute) -> Attribute {
    let mut attribute = attribute.clone();
    if let Meta::List(list) = &mut attribute.meta
        && list.path.is_ident("expect")
    {
        list.path = parse_quote_spanned!(Span::mixed_site()=> allow);
    }
    attribute
}
