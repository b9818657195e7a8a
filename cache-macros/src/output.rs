//! What a function returns, as far as its tokens tell.

use proc_macro2::{Group, Span, TokenStream};
use quote::{ToTokens, quote_spanned};
use syn::{GenericArgument, PathArguments, ReturnType, Type, TypeParamBound, parse_quote};

use crate::diagnostics::Diagnostics;
use crate::function::Function;
use crate::local::local;
use crate::mention::mentions;
use crate::runtime::Runtime;

/// The output of an async function, and how the function is async.
pub(crate) struct Output {
    pub(crate) ty: Type,
    pub(crate) form: Form,
    /// Where an error about the output belongs.
    pub(crate) place: Span,
}

/// How a function is async.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Form {
    /// `async fn`.
    Async,
    /// What `#[async_trait]` makes of one: a function that returns a boxed future.
    Boxed,
}

impl Output {
    /// The output of a function that `#[attribute]` may stand on.
    pub(crate) fn of(attribute: &str, function: &Function, diagnostics: &mut Diagnostics) -> Option<Self> {
        if let Some(unsafety) = function.sig.safety.to_token_stream().into_iter().next() {
            let message = format!("`#[{attribute}]` cannot call an unsafe function; wrap it in a safe one");
            diagnostics.report(unsafety.span(), message);
        }
        let Some((ty, form)) = returned(function) else {
            let name = function.name();
            let message = format!("`#[{attribute}]` needs an async function: write `async fn {name}`");
            diagnostics.report(function.sig.fn_token.span, message);
            return None;
        };
        let place = function.output_span();
        if mentions(&ty, "impl") {
            let message = format!("`{}` has no name that could be kept; return a type that is named", readable(&ty));
            diagnostics.report(place, message);
        }
        Some(Self { place: kept(&ty).span_or(place), ty, form })
    }

    /// The type that is kept: what a `Result` holds, or all of it. An alias is taken for a `Result` by its name.
    pub(crate) fn kept(&self) -> &Type {
        kept(&self.ty)
    }
}

trait SpanOr {
    fn span_or(&self, other: Span) -> Span;
}

impl SpanOr for Type {
    fn span_or(&self, other: Span) -> Span {
        self.to_token_stream().into_iter().next().map_or(other, |token| token.span())
    }
}

/// Code as a person would have written it, on one line.
pub(crate) fn readable(code: &impl ToTokens) -> String {
    let spaced = code.to_token_stream().to_string();
    let tight = [" <", "< ", " >", " ,", " ::", ":: ", " (", "( ", " )", "& ", " ;"];
    tight.iter().fold(spaced, |text, pair| text.replace(pair, pair.trim()))
}

fn returned(function: &Function) -> Option<(Type, Form)> {
    let written = match &function.sig.output {
        ReturnType::Default => parse_quote!(()),
        ReturnType::Type(_, ty) => Type::clone(ty),
    };
    if function.sig.asyncness.is_some() {
        return Some((written, Form::Async));
    }
    boxed_output(&written).map(|output| (output, Form::Boxed))
}

/// `R` of `Pin<Box<dyn Future<Output = R> + ..>>`.
fn boxed_output(ty: &Type) -> Option<Type> {
    let boxed = only_argument(ty, "Pin")?;
    let Type::TraitObject(future) = only_argument(boxed, "Box")? else {
        return None;
    };
    future.bounds.iter().find_map(|bound| {
        let TypeParamBound::Trait(bound) = bound else {
            return None;
        };
        let future = bound.path.segments.last().filter(|segment| segment.ident == "Future")?;
        let PathArguments::AngleBracketed(arguments) = &future.arguments else {
            return None;
        };
        arguments.args.iter().find_map(|argument| match argument {
            GenericArgument::AssocType(output) if output.ident == "Output" => Some(output.ty.clone()),
            _ => None,
        })
    })
}

fn only_argument<'a>(ty: &'a Type, name: &str) -> Option<&'a Type> {
    let Type::Path(path) = bare(ty) else {
        return None;
    };
    let segment = path.path.segments.last().filter(|segment| segment.ident == name)?;
    first_type(&segment.arguments).map(bare)
}

fn first_type(arguments: &PathArguments) -> Option<&Type> {
    let PathArguments::AngleBracketed(arguments) = arguments else {
        return None;
    };
    arguments.args.iter().find_map(|argument| match argument {
        GenericArgument::Type(ty) => Some(ty),
        _ => None,
    })
}

fn kept(ty: &Type) -> &Type {
    let Type::Path(path) = bare(ty) else {
        return ty;
    };
    let Some(last) = path.path.segments.last() else {
        return ty;
    };
    let name = last.ident.to_string();
    let is_result = name.ends_with("Result") || name == "Res";
    first_type(&last.arguments).filter(|_| is_result).unwrap_or(ty)
}

/// The type without the invisible brackets that a `macro_rules` puts around it, and without visible ones.
pub(crate) fn bare(ty: &Type) -> &Type {
    match ty {
        Type::Group(group) => bare(&group.elem),
        Type::Paren(paren) => bare(&paren.elem),
        other => other,
    }
}

/// An async block with the type of the function it is taken from. The type is said twice: what `?` and `return` give
/// must fit it, and so must the end.
pub(crate) fn typed_block(runtime: &Runtime, ty: &Type, names: &TokenStream, body: &Group) -> TokenStream {
    let (private, output) = (runtime.private(), local("output"));
    quote_spanned! {Span::mixed_site()=>
        #private::typed::<#ty, _>(async move {
            #names
            if let ::core::option::Option::Some(#output) = ::core::option::Option::None::<#ty> {
                return #output;
            }
            let #output: #ty = #body;
            // tidy: allow because it is emitted into the user's crate, where it may or may not be needed
            #[allow(unreachable_code)]
            #output
        })
    }
}
