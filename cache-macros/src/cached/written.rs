//! What the checks look at: the attribute and the function under it, as they were written.

use crate::arguments::Arguments;
use crate::cached::args::Args;
use crate::function::Function;
use crate::mention::{mentions, says_self_type};
use crate::output::Form;

/// A function, its arguments, and what its attribute says.
pub(crate) struct Written<'a> {
    pub(crate) args: &'a Args,
    pub(crate) function: &'a Function,
    pub(crate) arguments: &'a Arguments,
    pub(crate) form: Option<Form>,
}

impl Written<'_> {
    /// Whether the function stands in an `impl` or `trait`, as far as its own tokens tell.
    pub(crate) fn is_associated(&self) -> bool {
        self.arguments.receiver.is_some()
            || self.skips_self_type()
            || mentions(&self.function.sig, "Self")
            || self.function.body.as_ref().is_some_and(|body| says_self_type(&body.stream()))
    }

    /// Whether `skip(Self)` says that the type which the function belongs to is no part of the identity.
    pub(crate) fn skips_self_type(&self) -> bool {
        self.args.skip.as_ref().is_some_and(|skip| skip.value.iter().any(|name| name == "Self"))
    }
}
