//! `#[emits(..)]` as it was written.

use syn::parse::ParseStream;
use syn::{Expr, Path};

use crate::keys::{Given, Grammar, Key, assigned, assigned_path};

/// The arguments of `#[emits(..)]`.
#[derive(Default)]
pub(crate) struct Args {
    /// Expressions that build events.
    pub(crate) events: Vec<Expr>,
    pub(crate) cache: Option<Given<Expr>>,
    pub(crate) runtime: Option<Given<Path>>,
}

pub(crate) const GRAMMAR: Grammar<Args> = Grammar { attribute: "emits", keys: KEYS, other: Some(event) };

/// Every key there is.
pub(crate) const KEYS: &[Key<Args>] = &[
    Key {
        name: "cache",
        form: "cache = expression",
        available: true,
        meaning: "the instance to publish to, instead of the current one",
        read: |args, key, input| {
            args.cache = Some(Given { key, value: assigned(input)? });
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

fn event(args: &mut Args, input: ParseStream<'_>) -> syn::Result<()> {
    const FORM: &str = "`#[emits]` takes events as they are built, e.g. `UserUpdated { tenant, id }`";
    let place = input.span();
    let event: Expr = input.parse().map_err(|_| syn::Error::new(place, FORM))?;
    match event {
        Expr::Struct(_) | Expr::Path(_) | Expr::Call(_) | Expr::MethodCall(_) => {
            args.events.push(event);
            Ok(())
        }
        _ => Err(syn::Error::new(place, FORM)),
    }
}
