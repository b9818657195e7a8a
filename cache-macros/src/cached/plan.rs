//! `#[cached(..)]` as it is meant.

use proc_macro2::{Group, TokenStream};
use quote::quote_spanned;
use syn::spanned::Spanned;
use syn::{Expr, Ident};

use crate::arguments::Arguments;
use crate::cached::args::{Args, GRAMMAR};
use crate::cached::companions::Companions;
use crate::cached::identity::Identity;
use crate::cached::later;
use crate::cached::load::{Load, load};
use crate::cached::policy::Policy;
use crate::cached::routes::{Route, routes};
use crate::cached::written::Written;
use crate::diagnostics::Diagnostics;
use crate::function::Function;
use crate::keys::Given;
use crate::mention::{borrows, uses_variable};
use crate::output::{Output, readable};
use crate::runtime::Runtime;

/// A cached function of which every mistake has been refused.
pub(crate) struct Plan<'a> {
    pub(crate) function: &'a Function,
    pub(crate) body: Group,
    pub(crate) arguments: Arguments,
    pub(crate) output: Output,
    pub(crate) policy: Policy,
    pub(crate) identity: Identity,
    pub(crate) routes: Vec<Route>,
    pub(crate) load: Load,
    pub(crate) companions: Companions,
    /// Whether it belongs to a type, as far as anything tells.
    pub(crate) is_associated: bool,
    /// Whether its values do, too.
    pub(crate) is_of_one_type: bool,
    /// Another one for a function of the same name, most likely.
    pub(crate) mark: u32,
    pub(crate) cache: Option<Expr>,
    pub(crate) store_if: Option<Expr>,
    pub(crate) runtime: Runtime,
}

impl<'a> Plan<'a> {
    /// Decides what the arguments mean for this function.
    ///
    /// # Errors
    /// All mistakes at once.
    pub(crate) fn resolve(
        args: Args,
        function: &'a Function,
        mark: u32,
        mut diagnostics: Diagnostics,
    ) -> syn::Result<Self> {
        let plan = Self::check(args, function, mark, &mut diagnostics);
        diagnostics.finish(plan)
    }

    /// Every check is made before the first that failed ends it.
    fn check(args: Args, function: &'a Function, mark: u32, diagnostics: &mut Diagnostics) -> Option<Self> {
        let output = Output::of(GRAMMAR.attribute, function, diagnostics);
        refuse_borrowed(output.as_ref(), diagnostics);
        let mut arguments = Arguments::of(function, diagnostics);
        let form = output.as_ref().map(|output| output.form);
        let companions = Companions::of(&Written { args: &args, function, arguments: &arguments, form });
        if companions != Companions::Off {
            arguments
                .hide_underscored(|name| args.cache.as_ref().is_some_and(|cache| uses_variable(&cache.value, name)));
        }
        let written = Written { args: &args, function, arguments: &arguments, form };
        let policy = Policy::of(&args, diagnostics);
        let identity = Identity::of(&written, diagnostics);
        let routes = routes(&written, identity.as_ref(), diagnostics);
        let (load, ties) = load(&written, companions, diagnostics);
        later::check(&written, &ties, diagnostics);
        let body = function.body(GRAMMAR.attribute, diagnostics);
        let is_associated = companions == Companions::InSelf || written.is_associated();
        let is_of_one_type = is_associated && !written.skips_self_type();
        Some(Self {
            function,
            body: body?,
            arguments,
            output: output?,
            policy: policy?,
            identity: identity?,
            routes: routes?,
            load,
            companions,
            is_associated,
            is_of_one_type,
            mark,
            cache: args.cache.map(Given::into_value),
            store_if: args.store_if.map(Given::into_value),
            runtime: Runtime::of(args.runtime.as_ref()),
        })
    }
}

/// What is kept outlives every caller.
fn refuse_borrowed(output: Option<&Output>, diagnostics: &mut Diagnostics) {
    if let Some(output) = output.filter(|output| borrows(&output.ty)) {
        let message = format!(
            "`{}` borrows, and what is kept must own what it holds; return an owned type, such as `String` for `&str`",
            readable(&output.ty)
        );
        diagnostics.report(output.place, message);
    }
}

/// Pieces of code that several parts of the expansion share.
impl Plan<'_> {
    /// Where the runtime keeps what only generated code uses.
    pub(crate) fn private(&self) -> TokenStream {
        self.runtime.private()
    }

    /// Where the runtime keeps what is asked about the output; an error about the output points at its type.
    pub(crate) fn private_for_output(&self) -> TokenStream {
        self.runtime.private_at(self.output.place)
    }

    /// The cache of this function, if it has one of its own, as a variable.
    pub(crate) fn cache_statement(&self, name: &Ident) -> Option<TokenStream> {
        let cache = self.cache.as_ref()?;
        let place = cache.span();
        let runtime = self.runtime.path_at(place);
        Some(quote_spanned!(place=> let #name: &#runtime::Cache = &(#cache);))
    }
}
