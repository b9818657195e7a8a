//! All that is wrong with one attribute, in one build.

use std::fmt::Display;

use cache_spec::Mistake;
use proc_macro2::Span;
use syn::{Error, LitStr};

/// Collects mistakes. [`Diagnostics::finish`] is the only way to get a plan out of the checks.
#[derive(Default)]
pub(crate) struct Diagnostics {
    mistakes: Vec<Error>,
    /// Keys that were meant, though mistaken: they are not missing as well.
    meant: Vec<&'static str>,
}

impl Diagnostics {
    /// Notes what is wrong, what is allowed and the fix.
    pub(crate) fn report(&mut self, place: Span, message: impl Display) {
        self.mistakes.push(Error::new(place, message));
    }

    /// Notes an error of the parser.
    pub(crate) fn keep(&mut self, error: Error) {
        self.mistakes.push(error);
    }

    /// Remembers which keys were meant.
    pub(crate) fn meant(&mut self, keys: impl IntoIterator<Item = &'static str>) {
        self.meant.extend(keys);
    }

    /// Notes that a key is missing, unless it was meant.
    pub(crate) fn missing(&mut self, key: &'static str, message: impl Display) {
        if !self.meant.contains(&key) {
            self.report(Span::call_site(), message);
        }
    }

    /// Whether nothing is wrong so far.
    pub(crate) fn is_empty(&self) -> bool {
        self.mistakes.is_empty()
    }

    /// Notes all that `other` noted.
    pub(crate) fn append(&mut self, other: Self) {
        self.mistakes.extend(other.mistakes);
    }

    /// The value, unless it was mistaken.
    pub(crate) fn accept<T>(&mut self, parsed: syn::Result<T>) -> Option<T> {
        parsed.map_err(|error| self.keep(error)).ok()
    }

    /// The value of a string literal, unless its text has mistakes.
    pub(crate) fn accept_text<T, M>(&mut self, text: &LitStr, parsed: Result<T, M>) -> Option<T>
    where
        M: IntoMistakes,
    {
        let mistakes = parsed.map_err(IntoMistakes::into_mistakes);
        mistakes.map_err(|all| all.iter().for_each(|one| self.report(text.span(), one))).ok()
    }

    /// The plan, or everything that was wrong.
    ///
    /// # Errors
    /// All mistakes, as one error.
    pub(crate) fn finish<T>(self, plan: Option<T>) -> syn::Result<T> {
        let combined = self.mistakes.into_iter().reduce(|mut all, one| {
            all.combine(one);
            all
        });
        match combined {
            Some(error) => Err(error),
            None => Ok(plan.expect("a plan is left out only for a mistake that was reported")),
        }
    }
}

/// One mistake or several, as the parsers of `cache-spec` give them.
pub(crate) trait IntoMistakes {
    fn into_mistakes(self) -> Vec<Mistake>;
}

impl IntoMistakes for Mistake {
    fn into_mistakes(self) -> Vec<Mistake> {
        vec![self]
    }
}

impl IntoMistakes for Vec<Mistake> {
    fn into_mistakes(self) -> Vec<Mistake> {
        self
    }
}
