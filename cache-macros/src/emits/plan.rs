//! `#[emits(..)]` as it is meant.

use proc_macro2::{Group, Span};
use syn::visit_mut::VisitMut;
use syn::{Expr, Ident, PatIdent, ReceiverKind, Type};

use crate::arguments::{Argument, Arguments};
use crate::diagnostics::Diagnostics;
use crate::emits::args::{Args, GRAMMAR};
use crate::function::Function;
use crate::keys::Given;
use crate::mention::{borrows, uses_variable};
use crate::output::{Output, bare};
use crate::runtime::Runtime;

/// A publishing function of which every mistake has been refused.
pub(crate) struct Plan<'a> {
    pub(crate) function: &'a Function,
    pub(crate) body: Group,
    pub(crate) output: Output,
    pub(crate) events: Vec<Expr>,
    /// The variables that the events use, kept from the body.
    pub(crate) kept: Vec<Ident>,
    pub(crate) receiver: Kept,
    pub(crate) cache: Option<Expr>,
    pub(crate) runtime: Runtime,
}

/// What the events see as `self`.
pub(crate) enum Kept {
    /// `self`, or nothing.
    AsItIs,
    /// A clone: the body takes `self` away.
    Cloned(Ident),
}

impl Kept {
    /// `self`, as the function wrote it, if it is cloned.
    pub(crate) fn cloned(&self) -> Option<&Ident> {
        match self {
            Self::AsItIs => None,
            Self::Cloned(receiver) => Some(receiver),
        }
    }
}

impl<'a> Plan<'a> {
    /// Decides what the arguments mean for this function.
    ///
    /// # Errors
    /// All mistakes at once.
    pub(crate) fn resolve(args: Args, function: &'a Function, mut diagnostics: Diagnostics) -> syn::Result<Self> {
        let plan = Self::check(args, function, &mut diagnostics);
        diagnostics.finish(plan)
    }

    /// Every check is made before the first that failed ends it.
    fn check(args: Args, function: &'a Function, diagnostics: &mut Diagnostics) -> Option<Self> {
        if args.events.is_empty() && diagnostics.is_empty() {
            let message = "`#[emits]` names no event; write what is published after success, \
                           e.g. `#[emits(UserUpdated { tenant, id })]`";
            diagnostics.report(Span::call_site(), message);
        }
        let output = Output::of(GRAMMAR.attribute, function, diagnostics);
        let body = function.body(GRAMMAR.attribute, diagnostics);
        let arguments = Arguments::of(function, diagnostics);
        let runtime = Runtime::of(args.runtime.as_ref());
        let uses = Uses { events: args.events, cache: args.cache.map(Given::into_value) };
        let kept = uses.kept(&arguments, diagnostics);
        let receiver = uses.receiver(&arguments, diagnostics);
        let Uses { events, cache } = uses;
        Some(Self { function, body: body?, output: output?, events, kept, receiver, cache, runtime })
    }
}

/// The expressions that are evaluated after the body.
struct Uses {
    events: Vec<Expr>,
    cache: Option<Expr>,
}

impl Uses {
    fn name(&self, name: &str) -> bool {
        self.events.iter().chain(&self.cache).any(|expression| uses_variable(expression, name))
    }

    fn kept(&self, arguments: &Arguments, diagnostics: &mut Diagnostics) -> Vec<Ident> {
        let mut kept = Vec::new();
        for argument in &arguments.others {
            for name in bound(argument) {
                let text = syn::ext::IdentExt::unraw(&name).to_string();
                if self.name(&text) {
                    refuse_unkept(&text, &name, argument, diagnostics);
                    kept.push(name);
                }
            }
        }
        kept
    }

    fn receiver(&self, arguments: &Arguments, diagnostics: &mut Diagnostics) -> Kept {
        let Some(receiver) = arguments.receiver.as_ref().filter(|_| self.name("self")) else {
            return Kept::AsItIs;
        };
        match &receiver.kind {
            ReceiverKind::Reference(_, _, Some(_)) => {
                let message = "an event cannot use `self` after the body changed it; use `result`, or take `&self`";
                diagnostics.report(receiver.self_token.span, message);
                Kept::AsItIs
            }
            ReceiverKind::Reference(..) => Kept::AsItIs,
            ReceiverKind::Typed(_, ty) if borrows(ty) => Kept::AsItIs,
            _ => Kept::Cloned(Ident::from(receiver.self_token)),
        }
    }
}

fn refuse_unkept(text: &str, name: &Ident, argument: &Argument, diagnostics: &mut Diagnostics) {
    if text == "result" {
        let message = "`result` in an event is what the function returned; give the argument another name";
        diagnostics.report(name.span(), message);
    }
    if matches!(bare(&argument.ty), Type::Reference(reference) if reference.mutability.is_some()) {
        let message = format!(
            "an event cannot use `{text}` after the body changed it; use `result`, or an argument that is not `&mut`"
        );
        diagnostics.report(name.span(), message);
    }
}

/// The variables that an argument's pattern binds.
fn bound(argument: &Argument) -> Vec<Ident> {
    struct Names(Vec<Ident>);
    impl VisitMut for Names {
        fn visit_pat_ident_mut(&mut self, pat: &mut PatIdent) {
            self.0.push(pat.ident.clone());
            syn::visit_mut::visit_pat_ident_mut(self, pat);
        }
    }
    let mut names = Names(Vec::new());
    names.visit_pat_mut(&mut argument.pat.clone());
    names.0
}
