//! In which task a load runs: it may outlive its caller only if it owns everything it uses.

use syn::ext::IdentExt;
use syn::{GenericParam, Ident, Receiver, ReceiverKind, Type, TypeParamBound, WherePredicate, parse_quote};

use crate::arguments::{Argument, Arguments};
use crate::cached::companions::Companions;
use crate::cached::written::Written;
use crate::diagnostics::Diagnostics;
use crate::function::Function;
use crate::keys::listed;
use crate::local::local;
use crate::mention::{borrows, calls_itself, mentions};
use crate::output::{Form, bare, readable};

/// Where a load runs.
pub(crate) enum Load {
    /// In its caller's task, with what the caller lent it.
    InCaller,
    /// In a task of its own. These borrowed arguments are cloned for it.
    Detached(Vec<Cloned>),
}

impl Load {
    /// The arguments that are cloned for it.
    pub(crate) fn cloned(&self) -> &[Cloned] {
        match self {
            Self::InCaller => &[],
            Self::Detached(cloned) => cloned,
        }
    }
}

/// A borrowed argument that is cloned.
pub(crate) struct Cloned {
    /// What is cloned: an argument, or `self`.
    pub(crate) source: Ident,
    /// The name of the clone.
    pub(crate) owned: Ident,
    /// The type behind the reference.
    pub(crate) ty: Type,
}

/// What keeps a load in its caller's task.
#[derive(Default)]
pub(crate) struct Ties {
    /// Borrowed arguments that are not cloned.
    pub(crate) borrowed: Vec<String>,
    /// Type parameters that are not known to be `Send + 'static`.
    pub(crate) parameters: Vec<String>,
}

/// Reads `own(..)`, and decides.
pub(crate) fn load(written: &Written<'_>, companions: Companions, diagnostics: &mut Diagnostics) -> (Load, Ties) {
    let cloned = cloned(written, companions, diagnostics);
    let ties = Ties::of(written, &cloned);
    let boxed = written.form == Some(Form::Boxed);
    let recursive = !boxed && is_recursive(written, companions);
    if ties.are_none() && !boxed && !recursive {
        return (Load::Detached(cloned), ties);
    }
    let reason = match recursive {
        true => CALLS_ITSELF.to_owned(),
        false if ties.are_none() => NO_OWN_IN_ASYNC_TRAIT.to_owned(),
        false => ties.reason(),
    };
    if let Some(stale) = &written.args.stale_while_revalidate {
        diagnostics.report(stale.key.span, format!("`stale_while_revalidate` cannot load in the background {reason}"));
    }
    if let (Some(own), false) = (&written.args.own, cloned.is_empty()) {
        let message = if boxed { NO_OWN_IN_ASYNC_TRAIT } else { &reason };
        diagnostics.report(own.key.span, format!("`own` has no effect {message}"));
    }
    (Load::InCaller, ties)
}

const NO_OWN_IN_ASYNC_TRAIT: &str = "on a method of `#[async_trait]`, \
    whose future borrows from its caller in any case; remove it";

const CALLS_ITSELF: &str = "while the body calls its own function: the compiler cannot tell whether such a load may \
    move to another task; call it through a function that returns `Pin<Box<dyn Future<Output = ..> + Send>>`";

/// Whether the future of the load would be a part of itself.
fn is_recursive(written: &Written<'_>, companions: Companions) -> bool {
    let is_in_impl = written.arguments.receiver.is_some() || companions == Companions::InSelf;
    let name = written.function.name().unraw().to_string();
    written.function.body.as_ref().is_some_and(|body| calls_itself(body, &name, is_in_impl))
}

impl Ties {
    fn of(written: &Written<'_>, cloned: &[Cloned]) -> Self {
        let (function, arguments) = (written.function, written.arguments);
        let receiver = arguments.receiver.iter().map(receiver_type);
        let receiver = receiver.filter(|ty| borrows(ty) && !cloned.iter().any(|one| one.source == "self"));
        let others = arguments.others.iter().filter(|argument| is_lent(argument, cloned));
        let parameters = function.sig.generics.type_params().map(|param| &param.ident);
        let parameters = parameters.filter(|param| !is_movable(param, function));
        Self {
            borrowed: receiver.map(|_| "self".to_owned()).chain(others.map(shown)).collect(),
            parameters: parameters.map(ToString::to_string).collect(),
        }
    }

    pub(crate) fn are_none(&self) -> bool {
        self.borrowed.is_empty() && self.parameters.is_empty()
    }

    /// Why the load stays, and what to do about it.
    pub(crate) fn reason(&self) -> String {
        let (names, advice) = match self.borrowed.as_slice() {
            [] => (&self.parameters, "is not `Send + 'static`; add these bounds"),
            _ => (&self.borrowed, "is borrowed; put that into `own(..)` too"),
        };
        format!("while {} {advice}", listed(names.iter().map(String::as_str)))
    }
}

fn cloned(written: &Written<'_>, companions: Companions, diagnostics: &mut Diagnostics) -> Vec<Cloned> {
    let names = written.args.own.iter().flat_map(|own| &own.value);
    let mut all: Vec<Cloned> = Vec::new();
    for name in names {
        match clone_of(name, written.arguments, companions) {
            Ok(cloned) if all.iter().any(|before| before.source == cloned.source) => {
                diagnostics.report(name.span(), format!("`{name}` is owned twice; keep one of them"));
            }
            Ok(cloned) => all.push(cloned),
            Err(message) => diagnostics.report(name.span(), message),
        }
    }
    all
}

fn clone_of(name: &Ident, arguments: &Arguments, companions: Companions) -> Result<Cloned, String> {
    let text = name.unraw().to_string();
    let ty = match (&arguments.receiver, arguments.find(&text)) {
        (Some(_), _) if text == "self" && companions == Companions::Off => {
            return Err("`own(self)` needs `NAME_uncached` to call; it contradicts `companions = off`".into());
        }
        (Some(receiver), _) if text == "self" => receiver_type(receiver),
        (_, Some(argument)) => argument.ty.clone(),
        _ => return Err(unknown(&text, arguments)),
    };
    match bare(&ty) {
        Type::Reference(reference) if reference.mutability.is_some() => Err(format!(
            "`{text}` is borrowed to be changed, which no clone can do for the caller; remove it from `own(..)`"
        )),
        Type::Reference(reference) if mentions(&reference.elem, "impl") => {
            Err(format!("`{text}` needs a type with a name to be cloned; write a type parameter for its `impl`"))
        }
        Type::Reference(reference) => {
            let argument = arguments.find(&text).map(|argument| argument.local.clone());
            // A `macro_rules` that takes `$self` may write another one in the attribute.
            let this = arguments.receiver.as_ref().map(|receiver| Ident::from(receiver.self_token));
            Ok(Cloned {
                source: argument.or(this).unwrap_or_else(|| name.clone()),
                owned: local(&format!("owned_{text}")),
                ty: Type::clone(&reference.elem),
            })
        }
        _ => Err(format!("`{text}` is no reference, so there is nothing to clone; remove it from `own(..)`")),
    }
}

fn unknown(name: &str, arguments: &Arguments) -> String {
    let names = arguments.names();
    match cache_spec::suggest::nearest(name, names.iter().map(String::as_str)) {
        Some(near) => format!("`own({name})` names no argument; did you mean `{near}`?"),
        None => format!("`own({name})` names no argument; it takes the borrowed arguments of the function"),
    }
}

fn receiver_type(receiver: &Receiver) -> Type {
    match &receiver.kind {
        ReceiverKind::Typed(_, ty) => Type::clone(ty),
        ReceiverKind::Reference(and, lifetime, mutability) => {
            parse_quote!(#and #lifetime #mutability Self)
        }
        _ => parse_quote!(Self),
    }
}

/// Whether a value of the argument cannot move to another task: it borrows, or could.
fn is_lent(argument: &Argument, cloned: &[Cloned]) -> bool {
    let clone = cloned.iter().find(|one| one.source == argument.local);
    let ty = clone.map_or(&argument.ty, |clone| &clone.ty);
    borrows(ty) || mentions(ty, "impl")
}

fn shown(argument: &Argument) -> String {
    argument.name.as_ref().map_or_else(|| readable(&argument.pat), |name| name.unraw().to_string())
}

/// Whether the type parameter is known to be `Send + 'static`.
fn is_movable(param: &Ident, function: &Function) -> bool {
    let generics = &function.sig.generics;
    let inline = generics.params.iter().filter_map(|one| match one {
        GenericParam::Type(one) if one.ident == *param => Some(&one.bounds),
        _ => None,
    });
    let clauses = generics.where_clause.iter().flat_map(|clause| &clause.predicates);
    let outer = clauses.filter_map(|predicate| match predicate {
        WherePredicate::Type(one) if is_param(&one.bounded_ty, param) => Some(&one.bounds),
        _ => None,
    });
    let bounds: Vec<&TypeParamBound> = inline.chain(outer).flatten().collect();
    let is_static =
        |bound: &&TypeParamBound| matches!(bound, TypeParamBound::Lifetime(lifetime) if lifetime.ident == "static");
    let is_send = |bound: &&TypeParamBound| matches!(bound, TypeParamBound::Trait(one) if one.path.segments.last().is_some_and(|last| last.ident == "Send"));
    bounds.iter().any(is_static) && bounds.iter().any(is_send)
}

fn is_param(ty: &Type, param: &Ident) -> bool {
    matches!(bare(ty), Type::Path(path) if path.path.is_ident(param))
}
