//! Cuts a template or pattern into parts and collects what is wrong with each.

mod placeholder;
mod rules;

use std::ops::Range;

use crate::Mistake;
use crate::alphabet;
use crate::template::Placeholder;

/// What is being read. Only a pattern may hold `*`, and its placeholders name fields of an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Dialect {
    Template,
    Pattern,
}

impl Dialect {
    /// The word for the text itself.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Template => "template",
            Self::Pattern => "pattern",
        }
    }

    /// The word for what a placeholder names.
    pub(crate) fn named(self) -> &'static str {
        match self {
            Self::Template => "argument",
            Self::Pattern => "event field",
        }
    }
}

#[derive(Debug)]
pub(crate) struct Part {
    pub(crate) kind: Kind,
    pub(crate) range: Range<usize>,
}

#[derive(Debug)]
pub(crate) enum Kind {
    /// Text that stands for itself, unescaped. `damaged` when some of it was refused.
    Literal { text: String, damaged: bool },
    /// A placeholder.
    Value(Placeholder),
    /// What was to be a placeholder, but is none, as it should have been written.
    Refused(String),
    /// `*`
    Any,
}

/// The parts of `text` from `start` on. All ranges count from the beginning of `text`.
pub(crate) fn scan(text: &str, start: usize, dialect: Dialect) -> Result<Vec<Part>, Vec<Mistake>> {
    let mut scanner =
        Scanner { text, at: start, dialect, parts: Vec::new(), mistakes: Vec::new(), outside: Vec::new() };
    while let Some(c) = scanner.rest().chars().next() {
        scanner.step(c);
    }
    scanner.report_outside();
    let mut mistakes = scanner.mistakes;
    rules::check(text, start, dialect, &scanner.parts, &mut mistakes);
    mistakes.sort_by_key(|mistake| mistake.range.start);
    if mistakes.is_empty() { Ok(scanner.parts) } else { Err(mistakes) }
}

struct Scanner<'a> {
    text: &'a str,
    at: usize,
    dialect: Dialect,
    parts: Vec<Part>,
    mistakes: Vec<Mistake>,
    /// Distinct characters outside the alphabet, each with its first place.
    outside: Vec<(usize, char)>,
}

impl<'a> Scanner<'a> {
    fn rest(&self) -> &'a str {
        &self.text[self.at..]
    }

    fn step(&mut self, c: char) {
        match c {
            '<' if self.rest().starts_with("<<") => self.literal('<', 2, false),
            '<' => self.placeholder(),
            '>' => self.stray_close(),
            '*' => self.star(),
            '{' | '$' | '#' if self.braces() => (),
            c if alphabet::is_unreserved(c) || alphabet::is_separator(c) => {
                self.literal(c, 1, false);
            }
            c => self.refuse(c),
        }
    }

    fn push(&mut self, kind: Kind, length: usize) {
        let range = self.at..self.at + length;
        self.at = range.end;
        self.parts.push(Part { kind, range });
    }

    /// Takes `length` bytes as the character `c` of a literal.
    fn literal(&mut self, c: char, length: usize, refused: bool) {
        if let Some(Part { kind: Kind::Literal { text, damaged }, range }) = self.parts.last_mut() {
            text.push(c);
            *damaged |= refused;
            range.end += length;
            self.at += length;
        } else {
            self.push(Kind::Literal { text: c.to_string(), damaged: refused }, length);
        }
    }

    fn mistake(&mut self, length: usize, message: impl AsRef<str>) {
        self.mistakes.push(Mistake::new(self.at..self.at + length, message));
    }

    fn placeholder(&mut self) {
        let inner = &self.rest()[1..];
        let Some(length) = inner.find(['<', '>']).filter(|&at| inner[at..].starts_with('>')) else {
            return self.unclosed(inner);
        };
        let range = self.at..self.at + length + 2;
        let kind = match placeholder::parse(self.text, range.clone(), self.dialect) {
            Ok(placeholder) => Kind::Value(placeholder),
            Err(mistakes) => {
                self.mistakes.extend(mistakes);
                Kind::Refused(self.text[range].to_owned())
            }
        };
        self.push(kind, length + 2);
    }

    /// A `<` that no `>` closes: what looks like its name is taken for it, the rest goes on as text.
    fn unclosed(&mut self, inner: &str) {
        let name = placeholder::leading_path(inner);
        let (message, meant) = match name {
            "" => (
                "`<` opens a placeholder that never ends; \
                 write a name and `>`, as in `<id>`, or `<<` for a literal `<`"
                    .to_owned(),
                "<id>".to_owned(),
            ),
            name => (format!("`<{name}` is never closed; write `<{name}>`"), format!("<{name}>")),
        };
        self.mistake(1 + name.len(), message);
        self.push(Kind::Refused(meant), 1 + name.len());
    }

    fn stray_close(&mut self) {
        let length = self.rest().len() - self.rest().trim_start_matches('>').len();
        let before = &self.text[..self.at];
        let name = placeholder::trailing_path(before);
        let message = if name.is_empty() {
            "`>` closes nothing; leave it out, or write a placeholder, as in `<id>`".to_owned()
        } else if before[..before.len() - name.len()].ends_with("<<") {
            format!("`<<` is a literal `<`, so the `>` after `{name}` closes nothing; write `<{name}>`")
        } else {
            format!("the `>` after `{name}` closes nothing; leave it out, or write `<{name}>`")
        };
        self.mistake(length, message);
        for _ in 0..length {
            self.literal('>', 1, true);
        }
    }

    fn star(&mut self) {
        match self.dialect {
            Dialect::Pattern => self.push(Kind::Any, 1),
            Dialect::Template => {
                self.mistake(
                    1,
                    "`*` cannot stand in a template, which names one key at a time; \
                     groups stand in `invalidate_on`, as in `Event => user:<tenant>:*`",
                );
                self.literal('*', 1, true);
            }
        }
    }

    /// Refuses `{..}`, `${..}` or `#{..}` if it stands here.
    fn braces(&mut self) -> bool {
        let marked = self.rest().trim_start_matches(['$', '#']);
        let Some(inner) = marked.strip_prefix('{') else {
            return false;
        };
        let Some(close) = inner.find(['{', '}', '<', '>']).filter(|&at| inner[at..].starts_with('}')) else {
            return false;
        };
        let length = self.rest().len() - inner.len() + close + 1;
        let name = placeholder::leading_path(&inner[..close]);
        let meant = format!("<{}>", if name.is_empty() { "id" } else { name });
        let written = &self.rest()[..length];
        self.mistake(length, format!("`{written}` is no placeholder; write `{meant}`"));
        self.push(Kind::Refused(meant), length);
        true
    }

    fn refuse(&mut self, c: char) {
        if !self.outside.iter().any(|&(_, known)| known == c) {
            self.outside.push((self.at, c));
        }
        self.literal(c, c.len_utf8(), true);
    }

    /// One mistake for all characters outside the alphabet, at the first of them.
    fn report_outside(&mut self) {
        let Some(&(first, c)) = self.outside.first() else {
            return;
        };
        let shown: Vec<_> = self.outside.iter().map(|&(_, c)| alphabet::show(c)).collect();
        let message = format!(
            "{} cannot stand in a {}; outside placeholders it may hold {}",
            shown.join(" and "),
            self.dialect.name(),
            alphabet::LITERALS
        );
        self.mistakes.push(Mistake::new(first..first + c.len_utf8(), message));
    }
}
