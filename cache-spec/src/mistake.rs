use std::error::Error;
use std::fmt;
use std::ops::Range;

use crate::alphabet;

/// What is wrong with a part of a text, what is allowed there, and the fix.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Mistake {
    /// The part that is meant: a byte range of the parsed text, on character boundaries.
    pub range: Range<usize>,
    /// One sentence: lower case, without a full stop, code in backticks.
    pub message: String,
}

impl Mistake {
    /// Whatever the message quotes is made visible.
    pub(crate) fn new(range: Range<usize>, message: impl AsRef<str>) -> Self {
        Self { range, message: alphabet::visible(message.as_ref()) }
    }
}

impl fmt::Display for Mistake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl Error for Mistake {}
