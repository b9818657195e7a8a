//! Names that become parts of stored keys and of messages: of an app, of an event.
//!
//! Both hold 1 to 64 characters out of `A-Za-z0-9_.-`.
//!
//! ```
//! use cache_spec::name;
//!
//! assert!(name::check_app("shop-eu.1").is_ok());
//! assert_eq!(
//!     name::check_event("user:updated").expect_err("a colon").to_string(),
//!     "`:` cannot stand in the event name `user:updated`; \
//!      it may hold ASCII letters, digits, `_` `.` `-`, as in `user.updated`"
//! );
//! ```

use crate::{Mistake, alphabet};

const MAX: usize = 64;

/// Checks the name of an app, which every stored key begins with.
///
/// # Errors
/// When it is empty, over 64 characters long, or holds anything outside `A-Za-z0-9_.-`.
pub fn check_app(text: &str) -> Result<(), Mistake> {
    check("app name", "shop", text)
}

/// Checks the name of an event, which stands for its type outside this process.
///
/// # Errors
/// When it is empty, over 64 characters long, or holds anything outside `A-Za-z0-9_.-`.
pub fn check_event(text: &str) -> Result<(), Mistake> {
    check("event name", "UserUpdated", text)
}

fn check(what: &str, example: &str, text: &str) -> Result<(), Mistake> {
    let whole = 0..text.len();
    if text.is_empty() {
        let message = format!("the {what} is empty; write 1 to {MAX} characters, as in `{example}`");
        return Err(Mistake::new(whole, message));
    }
    if let Some((at, c)) = text.char_indices().find(|&(_, c)| !is_allowed(c)) {
        let shown = alphabet::show(c);
        let fixed = mended(text, example);
        let message = format!(
            "{shown} cannot stand in the {what} `{text}`; \
             it may hold ASCII letters, digits, `_` `.` `-`, as in `{fixed}`"
        );
        return Err(Mistake::new(at..at + c.len_utf8(), message));
    }
    if text.len() > MAX {
        let length = text.len();
        let message = format!("the {what} `{text}` has {length} characters; write at most {MAX} of them");
        return Err(Mistake::new(MAX..length, message));
    }
    Ok(())
}

/// The text with every run of refused characters replaced by one dot.
fn mended(text: &str, example: &str) -> String {
    let parts: Vec<_> = text.split(|c| !is_allowed(c)).filter(|part| !part.is_empty()).collect();
    let mended = parts.join(".");
    if mended.is_empty() || mended.len() > MAX { example.to_owned() } else { mended }
}

fn is_allowed(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | '-')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, expected: Option<(&str, &str)>) {
        let got = check_app(text).err().map(|mistake| (text[mistake.range].to_owned(), mistake.message));
        assert_eq!(got, expected.map(|(part, message)| (part.to_owned(), message.to_owned())));
    }

    #[test]
    fn plain_names_pass() {
        check("shop", None);
        check("9.A_b-c", None);
        check(&"x".repeat(64), None);
    }

    #[test]
    fn the_first_refused_character_is_named() {
        check("", Some(("", "the app name is empty; write 1 to 64 characters, as in `shop`")));
        check(
            "my shop",
            Some((
                " ",
                "` ` (a space) cannot stand in the app name `my shop`; \
                 it may hold ASCII letters, digits, `_` `.` `-`, as in `my.shop`",
            )),
        );
        check(
            "é",
            Some((
                "é",
                "`é` cannot stand in the app name `é`; \
                 it may hold ASCII letters, digits, `_` `.` `-`, as in `shop`",
            )),
        );
    }

    #[test]
    fn a_long_name_is_refused() {
        let long = "x".repeat(65);
        let message = format!("the app name `{long}` has 65 characters; write at most 64 of them");
        check(&long, Some(("x", &message)));
    }
}
