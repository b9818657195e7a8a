//! What tells one call from another: the template, and which arguments stand in it.

mod coverage;

use cache_spec::suggest;
use cache_spec::template::{Placeholder, Template};
use proc_macro2::Span;
use quote::{ToTokens, quote_spanned};
use syn::ext::IdentExt;
use syn::{Ident, LitStr, Member};

use crate::arguments::Arguments;
use crate::cached::written::Written;
use crate::diagnostics::Diagnostics;
use crate::keys::listed;
use crate::mention::borrows;

/// The most placeholders that the runtime takes.
const MOST_PLACEHOLDERS: usize = 12;

/// The key of a cached function.
pub(crate) struct Identity {
    pub(crate) text: LitStr,
    pub(crate) template: Template,
    /// One for each of the template's placeholders.
    pub(crate) parts: Vec<Part>,
}

/// An argument, or a field of one, that stands in the key.
pub(crate) struct Part {
    pub(crate) root: Ident,
    pub(crate) fields: Vec<Member>,
    pub(crate) hashed: bool,
}

impl Identity {
    pub(crate) fn of(written: &Written<'_>, diagnostics: &mut Diagnostics) -> Option<Self> {
        let Some(key) = &written.args.key else {
            coverage::check_skips(written, diagnostics);
            diagnostics.missing("key", missing(written));
            return None;
        };
        let text = key.value.clone();
        let template = diagnostics.accept_text(&text, Template::parse(&text.value()));
        let Some(template) = template else {
            coverage::check_skips(written, diagnostics);
            return None;
        };
        coverage::check(written, &template, diagnostics);
        refuse_too_many(&text, &template, diagnostics);
        let parts = template.placeholders().iter();
        let parts = parts.map(|one| part(one, &text, written.arguments, diagnostics)).collect::<Vec<_>>();
        let parts = parts.into_iter().collect::<Option<_>>()?;
        Some(Self { text, template, parts })
    }

    /// Whether the argument stands in the key.
    pub(crate) fn holds(&self, name: &str) -> bool {
        self.template.placeholders().iter().any(|placeholder| placeholder.root() == name)
    }
}

impl Part {
    /// The expression, e.g. `order.id`.
    pub(crate) fn access(&self, place: Span) -> impl ToTokens {
        let root = located(&self.root, place);
        let fields = self.fields.iter().map(|field| match field {
            Member::Named(name) => Member::Named(located(name, place)),
            Member::Unnamed(index) => Member::Unnamed(index.clone()),
        });
        quote_spanned!(place=> #root #(.#fields)*)
    }
}

/// The same name, shown at another place.
pub(crate) fn located(name: &Ident, place: Span) -> Ident {
    let mut name = name.clone();
    name.set_span(place.resolved_at(name.span()));
    name
}

/// A field by the name that stands in a placeholder.
pub(crate) fn member(name: &str, place: Span) -> Member {
    match syn::parse_str(name) {
        Ok(Member::Unnamed(index)) => Member::Unnamed(index),
        // A keyword in some editions, and the place may be of any.
        Ok(Member::Named(_)) if name != "gen" => Member::Named(Ident::new(name, place)),
        Ok(Member::Named(_)) | Err(_) => Member::Named(Ident::new_raw(name, place)),
    }
}

fn part(
    placeholder: &Placeholder,
    text: &LitStr,
    arguments: &Arguments,
    diagnostics: &mut Diagnostics,
) -> Option<Part> {
    let root = match (arguments.find(placeholder.root()), &arguments.receiver) {
        (Some(argument), _) => argument.local.clone(),
        (None, Some(receiver)) if placeholder.root() == "self" => Ident::new("self", receiver.self_token.span),
        _ => {
            diagnostics.report(text.span(), unknown(placeholder, arguments));
            return None;
        }
    };
    let fields = placeholder.fields().iter().map(|name| member(name, text.span())).collect();
    Some(Part { root, fields, hashed: placeholder.hashed() })
}

fn unknown(placeholder: &Placeholder, arguments: &Arguments) -> String {
    let names = arguments.names();
    let names = || names.iter().map(String::as_str).filter(|name| *name != "self");
    let root = placeholder.root();
    match suggest::nearest(root, names()) {
        Some(name) => {
            let meant = placeholder.to_string().replacen(root, name, 1);
            format!("`{placeholder}` names no argument; did you mean `{meant}`?")
        }
        None if root == "self" => {
            format!("`{placeholder}` needs `self`, which this function does not take")
        }
        None if names().next().is_none() => {
            format!("`{placeholder}` names no argument; this function takes none")
        }
        None => format!("`{placeholder}` names no argument; there is {}", listed(names())),
    }
}

fn missing(written: &Written<'_>) -> String {
    let name = written.function.name().unraw().to_string();
    let owned = written.arguments.others.iter().filter(|argument| !borrows(&argument.ty));
    let owned = owned.filter(|argument| argument.skip.is_none());
    let placeholders = owned.filter_map(|argument| argument.name.as_ref());
    let placeholders: Vec<_> = placeholders.map(|name| format!(":<{}>", name.unraw())).collect();
    let placeholders = placeholders.concat();
    format!("`key` is missing: it names the arguments that the value depends on, e.g. `key = \"{name}{placeholders}\"`")
}

fn refuse_too_many(text: &LitStr, template: &Template, diagnostics: &mut Diagnostics) {
    let count = template.placeholders().len();
    if count > MOST_PLACEHOLDERS {
        let message = format!(
            "the key has {count} placeholders; at most {MOST_PLACEHOLDERS} can stand in one: \
             put some arguments into a struct that derives `KeyPart`"
        );
        diagnostics.report(text.span(), message);
    }
}
