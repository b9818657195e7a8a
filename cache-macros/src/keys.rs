//! Attribute keys as a table: duplicates, unknown keys and suggestions follow from one list.

use cache_spec::suggest;
use proc_macro2::{Span, TokenStream, TokenTree};
use quote::quote;
use syn::ext::IdentExt;
use syn::parse::{Parse, ParseStream, Parser};
use syn::{Attribute, Ident, Token};

use crate::diagnostics::Diagnostics;

/// One key of an attribute whose arguments are collected into `A`.
pub(crate) struct Key<A: 'static> {
    /// Its name.
    pub(crate) name: &'static str,
    /// How it is written, for messages and the documentation.
    pub(crate) form: &'static str,
    /// Whether this version carries it out.
    pub(crate) available: bool,
    /// What it means, for the documentation.
    #[cfg_attr(not(test), expect(dead_code, reason = "the documentation is compared with it"))]
    pub(crate) meaning: &'static str,
    /// Reads what stands after the name.
    pub(crate) read: fn(&mut A, Name, ParseStream<'_>) -> syn::Result<()>,
}

/// The name of a key, where it was written.
#[derive(Clone, Copy)]
pub(crate) struct Name {
    pub(crate) text: &'static str,
    pub(crate) span: Span,
}

/// A value, and the key it was given to.
pub(crate) struct Given<T> {
    pub(crate) key: Name,
    pub(crate) value: T,
}

impl<T> Given<T> {
    pub(crate) fn into_value(self) -> T {
        self.value
    }
}

/// Reads what stands where an attribute has no key there.
pub(crate) type ReadOther<A> = fn(&mut A, ParseStream<'_>) -> syn::Result<()>;

/// An attribute: its name, its keys, and whether something else may stand between them.
pub(crate) struct Grammar<A: 'static> {
    pub(crate) attribute: &'static str,
    pub(crate) keys: &'static [Key<A>],
    pub(crate) other: Option<ReadOther<A>>,
}

/// What has been read so far.
#[derive(Default)]
struct Progress<A> {
    args: A,
    /// The keys that stood there.
    seen: Vec<&'static str>,
    /// The keys that misspelt ones were meant to be.
    meant: Vec<&'static str>,
    mistakes: Vec<syn::Error>,
}

impl<A: Default> Grammar<A> {
    /// Reads all arguments, however many of them are mistaken.
    pub(crate) fn read(&self, tokens: TokenStream, diagnostics: &mut Diagnostics) -> A {
        let mut progress = Progress::default();
        let all = |input: ParseStream<'_>| {
            while !input.is_empty() {
                if let Err(error) = self.read_one(&mut progress, input) {
                    progress.mistakes.push(error);
                    skip_argument(input);
                }
                input.parse::<Option<Token![,]>>()?;
            }
            Ok(())
        };
        let leftover = all.parse2(tokens).err();
        let Progress { args, seen, meant, mistakes } = progress;
        // What a mistaken argument left unread inside its brackets is no second mistake.
        let leftover = leftover.filter(|_| mistakes.is_empty());
        mistakes.into_iter().chain(leftover).for_each(|error| diagnostics.keep(error));
        diagnostics.meant(seen.into_iter().chain(meant));
        args
    }

    fn read_one(&self, progress: &mut Progress<A>, input: ParseStream<'_>) -> syn::Result<()> {
        match self.other {
            Some(read_other) if !at_key(input) => read_other(&mut progress.args, input)?,
            _ => self.read_key(progress, input)?,
        }
        if input.is_empty() || input.peek(Token![,]) {
            return Ok(());
        }
        Err(input.error(format!("`#[{}]` expects `,` here", self.attribute)))
    }

    fn read_key(&self, progress: &mut Progress<A>, input: ParseStream<'_>) -> syn::Result<()> {
        let written = Ident::parse_any(input).map_err(|error| self.no_key(&error))?;
        let key = self.find(&written, progress)?;
        let name = Name { text: key.name, span: written.span() };
        if progress.seen.contains(&key.name) {
            let message = format!("`{}` is given twice; keep one of them", key.name);
            return Err(syn::Error::new(name.span, message));
        }
        progress.seen.push(key.name);
        let place = if input.is_empty() { name.span } else { input.span() };
        (key.read)(&mut progress.args, name, input)
            .map_err(|_| syn::Error::new(place, format!("`{}` is written `{}`", key.name, key.form)))
    }

    fn find(&self, name: &Ident, progress: &mut Progress<A>) -> syn::Result<&'static Key<A>> {
        let written = name.to_string();
        if let Some(key) = self.keys.iter().find(|key| key.name == written) {
            return Ok(key);
        }
        let near = suggest::nearest(&written, self.keys.iter().map(|key| key.name));
        let key = near.and_then(|near| self.keys.iter().find(|key| key.name == near));
        progress.meant.extend(key.map(|key| key.name));
        let advice = match key {
            Some(key) => format!("did you mean `{}`?", key.name),
            None => format!("it knows {}", self.known()),
        };
        let message = format!("unknown key `{written}` in `#[{}]`; {advice}", self.attribute);
        Err(syn::Error::new(name.span(), message))
    }

    fn no_key(&self, error: &syn::Error) -> syn::Error {
        let message = format!("`#[{}]` expects a key here; it knows {}", self.attribute, self.known());
        syn::Error::new(error.span(), message)
    }

    fn known(&self) -> String {
        listed(self.keys.iter().filter(|key| key.available).map(|key| key.name))
    }
}

/// `name = ..`, but not a comparison.
fn at_key(input: ParseStream<'_>) -> bool {
    input.peek(Ident::peek_any) && input.peek2(Token![=]) && !input.peek2(Token![==])
}

fn skip_argument(input: ParseStream<'_>) {
    while !input.is_empty() && !input.peek(Token![,]) {
        input.parse::<TokenTree>().expect("there is a token before the comma or the end");
    }
}

/// `` `a`, `b` and `c` ``.
pub(crate) fn listed<'a>(names: impl IntoIterator<Item = &'a str>) -> String {
    let quoted: Vec<String> = names.into_iter().map(|name| format!("`{name}`")).collect();
    match quoted.split_last() {
        Some((last, [])) => last.clone(),
        Some((last, before)) => format!("{} and {last}", before.join(", ")),
        None => String::new(),
    }
}

/// Reads the helper attributes of a derive, e.g. `#[event(..)]`.
pub(crate) fn read_helpers<A: Default>(grammar: &Grammar<A>, attrs: &[Attribute], diagnostics: &mut Diagnostics) -> A {
    let own = attrs.iter().filter(|attribute| attribute.path().is_ident(grammar.attribute));
    let lists = own.filter_map(|attribute| diagnostics.accept(attribute.meta.require_list()));
    let tokens = lists.map(|list| list.tokens.clone()).reduce(|mut all, more| {
        all.extend(quote!(,));
        all.extend(more);
        all
    });
    grammar.read(tokens.unwrap_or_default(), diagnostics)
}

/// `= value`.
///
/// # Errors
/// When something else stands there.
pub(crate) fn assigned<T: Parse>(input: ParseStream<'_>) -> syn::Result<T> {
    input.parse::<Token![=]>()?;
    input.parse()
}

/// `= path::to::something`, where `crate` may be a segment.
///
/// # Errors
/// When something else stands there.
pub(crate) fn assigned_path(input: ParseStream<'_>) -> syn::Result<syn::Path> {
    input.parse::<Token![=]>()?;
    syn::Path::parse_mod_style(input)
}

/// `(name, name)`, where `self` is a name.
///
/// # Errors
/// When something else stands there.
pub(crate) fn names_in_parentheses(input: ParseStream<'_>) -> syn::Result<Vec<Ident>> {
    let list;
    syn::parenthesized!(list in input);
    Ok(list.parse_terminated(Ident::parse_any, Token![,])?.into_iter().collect())
}
