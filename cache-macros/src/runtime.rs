//! Where the runtime is.

use proc_macro2::{Span, TokenStream, TokenTree};
use quote::{ToTokens, quote_spanned};
use syn::Path;

use crate::keys::Given;

/// The path of the runtime crate: its own name, unless `crate = path` says otherwise.
pub(crate) struct Runtime(Option<Path>);

impl Runtime {
    pub(crate) fn of(given: Option<&Given<Path>>) -> Self {
        Self(given.map(|given| given.value.clone()))
    }

    /// Where the runtime keeps what only generated code uses.
    pub(crate) fn private(&self) -> TokenStream {
        self.private_at(Span::mixed_site())
    }

    /// The same, so that an error about what follows points at `place`. The compiler shows such a place only where the
    /// code has the hygiene of the user's own.
    pub(crate) fn private_at(&self, place: Span) -> TokenStream {
        let path = self.path_at(place);
        quote_spanned!(place=> #path::__private)
    }

    /// The crate itself.
    pub(crate) fn path_at(&self, place: Span) -> TokenStream {
        let own = || quote_spanned!(place=> ::cache_runtime);
        self.0
            .as_ref()
            .map_or_else(own, |path| path.to_token_stream().into_iter().map(|token| moved(token, place)).collect())
    }
}

/// The token, shown at another place.
fn moved(mut token: TokenTree, place: Span) -> TokenTree {
    token.set_span(place.resolved_at(token.span()));
    token
}
