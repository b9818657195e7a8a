//! The pattern that a bare event stands for.

use crate::Mistake;
use crate::template::{Piece, Placeholder, Template, escaped};

use super::Pattern;

pub(super) fn of_event(template: &Template) -> Result<Pattern, Mistake> {
    for (index, placeholder) in template.placeholders().iter().enumerate() {
        if let Some(wrong) = no_field(placeholder, &template.placeholders()[..index]) {
            let example = renamed(template, |placeholder| placeholder.path().replace('.', "_"));
            let message = format!("{wrong}; write the fields out, as in `Event => {example}`");
            return Err(Mistake::new(placeholder.range(), message));
        }
    }
    let text = renamed(template, |placeholder| placeholder.last().to_owned());
    Ok(Pattern::parse(&text).expect("a template with other names has no mistakes either"))
}

/// Why `placeholder`, which comes after those in `before`, cannot name a field by its last name.
fn no_field(placeholder: &Placeholder, before: &[Placeholder]) -> Option<String> {
    let last = placeholder.last();
    if last.starts_with(|c: char| c.is_ascii_digit()) {
        return Some(format!("`{placeholder}` ends in no name for a field of the event"));
    }
    let other = before.iter().find(|other| other.last() == last && other.path() != placeholder.path())?;
    Some(format!("`{other}` and `{placeholder}` would both be the event's field `{last}`"))
}

/// The text of `template` with other names for its placeholders.
fn renamed(template: &Template, name: impl Fn(&Placeholder) -> String) -> String {
    let written = |piece: &Piece| match piece {
        Piece::Literal(text) => escaped(text),
        Piece::Value(index) => {
            let placeholder = &template.placeholders()[*index];
            let names = vec![name(placeholder)];
            Placeholder::new(names, placeholder.hashed(), placeholder.range()).to_string()
        }
    };
    template.pieces().iter().map(written).collect()
}
