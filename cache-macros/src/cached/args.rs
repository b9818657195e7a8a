//! `#[cached(..)]` as it was written.

use proc_macro2::Span;
use syn::parse::ParseStream;
use syn::{Expr, Ident, Lit, LitInt, LitStr, Path, Token};

use crate::keys::{Given, Grammar, Key, assigned, assigned_path, names_in_parentheses};

/// The arguments of `#[cached(..)]`: every key is optional here.
#[derive(Default)]
pub(crate) struct Args {
    pub(crate) ttl: Option<Given<LitStr>>,
    pub(crate) jitter: Option<Given<LitInt>>,
    pub(crate) key: Option<Given<LitStr>>,
    pub(crate) invalidate_on: Option<Given<Vec<LitStr>>>,
    pub(crate) version: Option<Given<LitInt>>,
    pub(crate) skip: Option<Given<Vec<Ident>>>,
    pub(crate) own: Option<Given<Vec<Ident>>>,
    pub(crate) cache: Option<Given<Expr>>,
    pub(crate) l1: Option<Given<Tier>>,
    pub(crate) l2: Option<Given<Off>>,
    pub(crate) negative_ttl: Option<Given<LitStr>>,
    pub(crate) store_if: Option<Given<Expr>>,
    pub(crate) load_timeout: Option<Given<LitStr>>,
    pub(crate) stale_while_revalidate: Option<Given<LitStr>>,
    pub(crate) companions: Option<Given<Siblings>>,
    pub(crate) runtime: Option<Given<Path>>,
    pub(crate) later: Later,
}

/// The keys that this version knows but cannot carry out.
#[derive(Default)]
pub(crate) struct Later {
    pub(crate) stale_if_error: Option<Given<LitStr>>,
    pub(crate) soft_timeout: Option<Given<LitStr>>,
    pub(crate) early_refresh: Option<Given<()>>,
    pub(crate) ttl_with: Option<Given<Expr>>,
    pub(crate) batch: Option<Given<Ident>>,
    pub(crate) audit: Option<Given<LitInt>>,
}

/// What `l1` may be.
pub(crate) enum Tier {
    Off,
    For(LitStr),
}

/// The word `off`.
pub(crate) struct Off;

/// What `companions` may be.
#[derive(PartialEq, Eq)]
pub(crate) enum Siblings {
    /// None.
    Off,
    /// They stand beside the function in an `impl` block, which its tokens do not show.
    InSelf,
}

pub(crate) const GRAMMAR: Grammar<Args> = Grammar { attribute: "cached", keys: KEYS, other: None };

/// A row of the table: a key whose value is read by a function and put into a field of [`Args`].
macro_rules! key {
    (later $name:literal, $form:literal, $($field:ident).+ = $read:path, $meaning:literal) => {
        Key { available: false, ..key!($name, $form, later.$($field).+ = $read, $meaning) }
    };
    ($name:literal, $form:literal, $($field:ident).+ = $read:path, $meaning:literal) => {
        Key {
            name: $name,
            form: $form,
            available: true,
            meaning: $meaning,
            read: |args, key, input| {
                args.$($field).+ = Some(Given { key, value: $read(input)? });
                Ok(())
            },
        }
    };
}

/// Every key there is.
pub(crate) const KEYS: &[Key<Args>] = &[
    key!(
        "ttl",
        r#"ttl = "5m""#,
        ttl = assigned,
        "required: how long a value is served. Units `ms`, `s`, `m`, `h`, `d`, as in `\"1h30m\"`"
    ),
    key!(
        "jitter",
        "jitter = 10",
        jitter = assigned,
        "percent: the ttl is shortened by a random share up to this, never lengthened"
    ),
    key!(
        "key",
        r#"key = "user:<tenant>:<id>""#,
        key = assigned,
        "required: the template. `<arg>`, `<arg.field>`, `<self.field>`, `<arg:hash>` for long or private values; `<<` is a literal `<`"
    ),
    key!(
        "invalidate_on",
        r#"invalidate_on = ["UserUpdated", "TenantPurged => user:<tenant>:*"]"#,
        invalidate_on = texts,
        "event types, one or a list. Bare: the event has every field that the key names, of the same type. With `=>`: every key that matches"
    ),
    key!(
        "version",
        "version = 2",
        version = assigned,
        "part of the key: raise it when the meaning of the value changes"
    ),
    key!(
        "skip",
        "skip(db, pool)",
        skip = names_in_parentheses,
        "arguments that are no part of the identity; `#[cache(skip)]` before the argument says the same"
    ),
    key!(
        "own",
        "own(db, self)",
        own = names_in_parentheses,
        "borrowed arguments that are cloned (`ToOwned`), so that a load can outlive its caller"
    ),
    key!(
        "cache",
        "cache = expression",
        cache = assigned,
        "the instance to use; an argument that is used only here counts as skipped"
    ),
    key!("l1", r#"l1 = off` or `l1 = "30s""#, l1 = tier, "the in-process tier: not at all, or at most this long"),
    key!("l2", "l2 = off", l2 = off, "the shared tier: not at all"),
    key!(
        "negative_ttl",
        r#"negative_ttl = "30s""#,
        negative_ttl = assigned,
        "how long `None` is kept; without it, `None` is not kept"
    ),
    key!(
        "store_if",
        "store_if = is_complete",
        store_if = assigned,
        "`fn(&T) -> bool`: values for which it says `false` are answered but not kept"
    ),
    key!(
        "load_timeout",
        r#"load_timeout = "2s""#,
        load_timeout = assigned,
        "how long one load may hold its key against others"
    ),
    key!(
        "stale_while_revalidate",
        r#"stale_while_revalidate = "1m""#,
        stale_while_revalidate = assigned,
        "how long past the ttl a value is served while one refresh runs (RFC 5861); its arguments must be owned"
    ),
    key!(
        "companions",
        "companions = off` or `companions = Self",
        companions = siblings,
        "`off`: emit the cached function alone, without `NAME_uncached` and `NAME_entry`; needed in trait impls. `Self`: the function stands in an `impl` block, though nothing in it says `self` or `Self`"
    ),
    key!(
        "crate",
        "crate = my_crate::cache_runtime",
        runtime = assigned_path,
        "where `cache_runtime` is, when it is renamed or re-exported"
    ),
    key!(later "stale_if_error", r#"stale_if_error = "1h""#, stale_if_error = assigned,
        "how long past the ttl a value is served when the load fails"),
    key!(later "early_refresh", "early_refresh` or `early_refresh = 1.5", early_refresh = flag_or_beta,
        "probabilistic refresh before expiry"),
    key!(later "soft_timeout", r#"soft_timeout = "100ms""#, soft_timeout = assigned,
        "serve stale when a load takes longer, and finish it in the background"),
    key!(later "ttl_with", "ttl_with = lifetime_of", ttl_with = assigned,
        "`fn(&T) -> Duration`, a lifetime for each value"),
    key!(later "batch", "batch = ids", batch = assigned,
        "a slice argument, one lookup for each element and one load for the misses"),
    key!(later "audit", "audit = 1", audit = assigned,
        "percent of the hits that are checked against the source"),
];

fn texts(input: ParseStream<'_>) -> syn::Result<Vec<LitStr>> {
    input.parse::<Token![=]>()?;
    if !input.peek(syn::token::Bracket) {
        return Ok(vec![input.parse()?]);
    }
    let list;
    syn::bracketed!(list in input);
    let texts = list.parse_terminated(<LitStr as syn::parse::Parse>::parse, Token![,])?;
    Ok(texts.into_iter().collect())
}

fn tier(input: ParseStream<'_>) -> syn::Result<Tier> {
    input.parse::<Token![=]>()?;
    if input.peek(LitStr) {
        return input.parse().map(Tier::For);
    }
    word(input, "off").map(|_| Tier::Off)
}

fn off(input: ParseStream<'_>) -> syn::Result<Off> {
    input.parse::<Token![=]>()?;
    word(input, "off").map(|_| Off)
}

fn siblings(input: ParseStream<'_>) -> syn::Result<Siblings> {
    input.parse::<Token![=]>()?;
    if input.parse::<Option<Token![Self]>>()?.is_some() {
        return Ok(Siblings::InSelf);
    }
    word(input, "off").map(|_| Siblings::Off)
}

fn flag_or_beta(input: ParseStream<'_>) -> syn::Result<()> {
    if input.parse::<Option<Token![=]>>()?.is_none() {
        return Ok(());
    }
    match input.parse()? {
        Lit::Int(_) | Lit::Float(_) => Ok(()),
        other => Err(syn::Error::new(other.span(), "a number")),
    }
}

fn word(input: ParseStream<'_>, expected: &str) -> syn::Result<Span> {
    let written: Ident = input.parse()?;
    if written == expected { Ok(written.span()) } else { Err(syn::Error::new(written.span(), expected)) }
}
