//! Which characters may stand where.

/// What may stand outside placeholders, as messages say it.
pub(crate) const LITERALS: &str = "ASCII letters, digits, `_` `.` `~` `-` and the separators `:` `/` `=` `@` `|` `+`";

/// The separators as messages list them. A literal `<` separates too, but nobody looks for it.
pub(crate) const SEPARATORS: &str = "`:` `/` `=` `@` `|` `+`";

/// Characters that never occur in a value, so that they end one.
pub(crate) fn is_separator(c: char) -> bool {
    matches!(c, ':' | '/' | '=' | '@' | '|' | '+' | '<')
}

/// Characters that a value holds as they are; RFC 3986 calls them unreserved.
pub(crate) fn is_unreserved(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | '~' | '-')
}

/// The first character of a Rust name.
pub(crate) fn begins_name(c: char) -> bool {
    c == '_' || c.is_alphabetic()
}

/// A later character of a Rust name.
pub(crate) fn continues_name(c: char) -> bool {
    c == '_' || c.is_alphanumeric()
}

/// A Rust name, without regard to keywords; `_` alone is none.
pub(crate) fn is_name(text: &str) -> bool {
    text != "_" && text.starts_with(begins_name) && text.chars().all(continues_name)
}

/// The Rust name that `text` begins with.
pub(crate) fn leading_name(text: &str) -> &str {
    let length = text.find(|c| !continues_name(c)).unwrap_or(text.len());
    if text.starts_with(begins_name) { &text[..length] } else { "" }
}

/// Keywords that have no raw form, so that nothing can ever be named so.
pub(crate) fn is_never_a_name(text: &str) -> bool {
    matches!(text, "self" | "Self" | "super" | "crate")
}

/// A character in backticks.
pub(crate) fn show(c: char) -> String {
    match c {
        ' ' => "` ` (a space)".to_owned(),
        '`' => "a backtick".to_owned(),
        c => format!("`{c}`"),
    }
}

/// A text with what cannot be seen as escapes: control characters, odd spaces, lone accents. Doing
/// it twice changes nothing more.
pub(crate) fn visible(text: &str) -> String {
    let mut out = String::new();
    for c in text.chars() {
        match c {
            '"' | '\'' | '\\' => out.push(c),
            c => out.extend(c.escape_debug()),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn separators_never_occur_in_values() {
        assert!((0..=u8::MAX).map(char::from).all(|c| !(is_separator(c) && is_unreserved(c))));
    }

    #[track_caller]
    fn check(text: &str, shown: &str) {
        assert_eq!(visible(text), shown);
        assert_eq!(visible(shown), shown);
    }

    #[test]
    fn every_character_is_shown_visibly() {
        check("aé \"'\\`", "aé \"'\\`");
        check("\n\0\u{200b}\u{7f}", "\\n\\0\\u{200b}\\u{7f}");
        check("\u{301}", "\\u{301}");
    }
}
