//! The words of a cache attribute: durations, jitter, key templates, patterns and names.
//!
//! One parser for the macros, the runtime and the tools. It needs nothing but the standard library.
//!
//! ```
//! use cache_spec::{duration, pattern::Pattern, template::Template};
//!
//! let template = Template::parse("user:<tenant>:<id>").expect("a template without mistakes");
//! assert_eq!(template.placeholders()[1].path(), "id");
//!
//! let group = Pattern::parse("user:<tenant>:*").expect("a pattern without mistakes");
//! assert_eq!(group.bind(&template), Ok(vec![0]));
//!
//! assert_eq!(duration::parse("1h30m").map(duration::print).as_deref(), Ok("1h30m"));
//! ```
//!
//! Whatever is wrong comes back as a [`Mistake`]: a byte range of the text and a sentence that
//! quotes the part, says what is allowed and gives the fix. All mistakes of one text come at once.
//!
//! ```
//! use cache_spec::template::Template;
//!
//! let mistakes = Template::parse("user:<>:<id:hsh>").expect_err("two mistakes");
//! assert_eq!(
//!     mistakes.iter().map(ToString::to_string).collect::<Vec<_>>(),
//!     [
//!         "`<>` holds no name; write the argument's name, as in `<id>`",
//!         "`hsh` is no modifier; did you mean `<id:hash>`?",
//!     ]
//! );
//! ```
//!
//! # Why distinct arguments give distinct keys
//!
//! 1. [`value`] writes different values of one type as different texts, and never writes a
//!    separator (`:` `/` `=` `@` `|` `+` `<`).
//! 2. Two placeholders of a [`template`] always have a separator between them.
//!
//! So a key, cut at its separators, has at most one value in each part, with fixed text around it,
//! and can be read back in one way only. The same two rules make it easy to tell whether two
//! templates [overlap](template::Template::overlaps) and which keys a [`pattern`] covers.

pub mod duration;
pub mod name;
pub mod pattern;
pub mod subscription;
pub mod suggest;
pub mod template;
pub mod value;

mod alphabet;
mod jitter;
mod mistake;
mod scan;

pub use jitter::Jitter;
pub use mistake::Mistake;
