//! One Rust file as the checks see it: code and comments apart, functions and test code found.
//!
//! This is a lexer and a matcher of braces, not a parser. It is enough for what tidy asks, and it
//! keeps xtask free of dependencies.

use std::path::Path;

/// One Rust file. Lines are numbered from 1.
pub(crate) struct Source {
    /// Relative to the root of the repository, with forward slashes.
    pub(crate) path: String,
    /// The file with comments, strings and characters blanked; same lines as the file.
    pub(crate) code: String,
    comments: Vec<String>,
    test_lines: Vec<bool>,
}

/// A function with a body, from the line of `fn` to the line of its closing brace.
pub(crate) struct Function {
    pub(crate) name: String,
    pub(crate) first: usize,
    pub(crate) last: usize,
}

impl Source {
    pub(crate) fn new(path: impl AsRef<Path>, text: &str) -> Self {
        let path = path.as_ref().to_string_lossy().replace('\\', "/");
        let Parts { code, comments } = split(text);
        let lines = code.lines().count();
        let mut source = Self {
            path,
            code,
            comments: comments.lines().map(str::to_owned).collect(),
            test_lines: vec![false; lines + 2],
        };
        source.find_test_code();
        source
    }

    pub(crate) fn code_lines(&self) -> impl Iterator<Item = (usize, &str)> {
        self.code.lines().enumerate().map(|(index, line)| (index + 1, line))
    }

    pub(crate) fn comment_lines(&self) -> impl Iterator<Item = (usize, &str)> {
        self.comments.iter().enumerate().map(|(index, line)| (index + 1, line.as_str()))
    }

    /// Whether the line belongs to a test: a test file, or an item behind `#[cfg(test)]`.
    pub(crate) fn is_test(&self, line: usize) -> bool {
        self.is_test_file() || self.test_lines[line]
    }

    pub(crate) fn is_test_file(&self) -> bool {
        self.path.starts_with("tests/") || self.path.contains("/tests/") || self.path.ends_with("/tests.rs")
    }

    /// The written reason `// tidy: <subject> because ..` on this line or in the comment above it.
    pub(crate) fn excuses(&self, subject: &str, line: usize) -> bool {
        self.comment_block_above(line).chain([line]).any(|line| self.excuse_on(subject, line))
    }

    /// The lines of comments and attributes right above a line, from the nearest to the farthest.
    pub(crate) fn comment_block_above(&self, line: usize) -> impl Iterator<Item = usize> + '_ {
        (1..line).rev().take_while(|above| self.introduces(*above))
    }

    pub(crate) fn excuse_on(&self, subject: &str, line: usize) -> bool {
        let Some(comment) = self.comments.get(line - 1) else {
            return false;
        };
        let Some((_, rest)) = comment.split_once("tidy:") else {
            return false;
        };
        let rest = rest.trim_start().strip_prefix(subject).unwrap_or_default();
        rest.trim_start().strip_prefix("because").is_some_and(|reason| !reason.trim().is_empty())
    }

    /// Whether the line holds an attribute, or a comment and no code.
    fn introduces(&self, line: usize) -> bool {
        let code = self.code.lines().nth(line - 1).unwrap_or_default().trim();
        let comment = self.comments.get(line - 1).map_or("", |comment| comment.trim());
        code.starts_with("#[") || code.is_empty() && !comment.is_empty()
    }

    /// The line of a byte of [`Source::code`].
    pub(crate) fn line_of(&self, offset: usize) -> usize {
        self.code[..offset].bytes().filter(|byte| *byte == b'\n').count() + 1
    }

    /// Every function with a body, in the order of the file.
    pub(crate) fn functions(&self) -> Vec<Function> {
        let mut functions = Vec::new();
        for (offset, after) in words(&self.code, "fn") {
            let rest = self.code[after..].trim_start();
            let name: String = rest.chars().take_while(|letter| is_word(*letter)).collect();
            if let (false, Some(end)) = (name.is_empty(), body_end(&self.code, after)) {
                let (first, last) = (self.line_of(offset), self.line_of(end));
                functions.push(Function { name, first, last });
            }
        }
        functions
    }

    fn find_test_code(&mut self) {
        for (offset, after) in matches(&self.code, "#[cfg(") {
            let Some(length) = self.code[after..].find(']') else {
                continue;
            };
            let condition = self.code[after..after + length].to_owned();
            let about_tests = words(&condition, "test").next().is_some();
            if !about_tests || words(&condition, "not").next().is_some() {
                continue;
            }
            let item = after + length;
            let end =
                body_end(&self.code, item).or_else(|| self.code[item..].find(';').map(|semicolon| item + semicolon));
            let last = self.line_of(end.unwrap_or(self.code.len()));
            let first = self.line_of(offset);
            self.test_lines[first..=last].fill(true);
        }
    }
}

/// The byte after the closing brace of the block that starts at or after `from`; nothing when the
/// item ends with a semicolon first.
fn body_end(code: &str, from: usize) -> Option<usize> {
    let (mut nested, mut braces) = (0_usize, 0_usize);
    for (index, byte) in code.bytes().enumerate().skip(from) {
        match byte {
            b'(' | b'[' => nested += 1,
            b')' | b']' => nested = nested.saturating_sub(1),
            b';' if nested == 0 && braces == 0 => return None,
            b'{' => braces += 1,
            b'}' if braces <= 1 => return (braces == 1).then_some(index),
            b'}' => braces -= 1,
            _ => {}
        }
    }
    None
}

pub(crate) fn is_word(letter: char) -> bool {
    letter.is_alphanumeric() || letter == '_'
}

/// Start and end of each occurrence of `text`.
pub(crate) fn matches(code: &str, text: &'static str) -> Vec<(usize, usize)> {
    code.match_indices(text).map(|(start, found)| (start, start + found.len())).collect()
}

/// Start and end of each occurrence of `word` that is not part of a longer word.
pub(crate) fn words<'a>(code: &'a str, word: &'a str) -> impl Iterator<Item = (usize, usize)> + 'a {
    code.match_indices(word).map(|(start, found)| (start, start + found.len())).filter(|(start, end)| {
        !code[..*start].chars().next_back().is_some_and(is_word) && !code[*end..].chars().next().is_some_and(is_word)
    })
}

struct Parts {
    code: String,
    comments: String,
}

/// What the lexer is inside of.
#[derive(Clone, Copy)]
enum Inside {
    Code,
    LineComment,
    BlockComment { depth: usize },
    Text,
    RawText { hashes: usize },
}

/// Splits a file into two of the same shape: its code, and its comments.
fn split(text: &str) -> Parts {
    let letters: Vec<char> = text.chars().collect();
    let mut lexer = Lexer {
        letters: &letters,
        at: 0,
        inside: Inside::Code,
        parts: Parts { code: String::new(), comments: String::new() },
    };
    while lexer.at < letters.len() {
        lexer.step();
    }
    lexer.parts
}

struct Lexer<'a> {
    letters: &'a [char],
    at: usize,
    inside: Inside,
    parts: Parts,
}

impl Lexer<'_> {
    fn step(&mut self) {
        match self.inside {
            Inside::Code => self.step_code(),
            Inside::LineComment if self.letters[self.at] == '\n' => {
                self.inside = Inside::Code;
                self.take_code(1);
            }
            Inside::LineComment => self.take_comment(1),
            Inside::BlockComment { depth } => self.step_block_comment(depth),
            Inside::Text => self.step_text(),
            Inside::RawText { hashes } => self.step_raw_text(hashes),
        }
    }

    fn step_code(&mut self) {
        if self.sees("//") {
            self.inside = Inside::LineComment;
            self.take_comment(2);
        } else if self.sees("/*") {
            self.inside = Inside::BlockComment { depth: 1 };
            self.take_comment(2);
        } else if let Some(hashes) = self.raw_text_ahead() {
            self.inside = Inside::RawText { hashes };
            self.blank(hashes + 2);
        } else if self.sees("\"") {
            self.inside = Inside::Text;
            self.blank(1);
        } else if let Some(length) = self.character_ahead() {
            self.blank(length);
        } else {
            self.take_code(1);
        }
    }

    fn step_block_comment(&mut self, depth: usize) {
        if self.sees("/*") {
            self.inside = Inside::BlockComment { depth: depth + 1 };
            self.take_comment(2);
        } else if self.sees("*/") {
            self.inside = match depth {
                1 => Inside::Code,
                _ => Inside::BlockComment { depth: depth - 1 },
            };
            self.take_comment(2);
        } else {
            self.take_comment(1);
        }
    }

    fn step_text(&mut self) {
        if self.sees("\\") {
            self.blank(2);
        } else {
            if self.sees("\"") {
                self.inside = Inside::Code;
            }
            self.blank(1);
        }
    }

    fn step_raw_text(&mut self, hashes: usize) {
        let closing = format!("\"{}", "#".repeat(hashes));
        if self.sees(&closing) {
            self.inside = Inside::Code;
            self.blank(closing.len());
        } else {
            self.blank(1);
        }
    }

    /// `r"`, `r#"`, `br##"`, ..: how many `#`. Raw names (`r#type`) are none.
    fn raw_text_ahead(&self) -> Option<usize> {
        let before = self.at.checked_sub(1).map(|index| self.letters[index]);
        let prefix_allows = before.is_none_or(|letter| !is_word(letter) || "bc".contains(letter));
        if !self.sees("r") || !prefix_allows {
            return None;
        }
        let rest = &self.letters[self.at + 1..];
        let hashes = rest.iter().take_while(|letter| **letter == '#').count();
        (rest.get(hashes) == Some(&'"')).then_some(hashes)
    }

    /// The length of a character literal that starts here. A lifetime is none.
    fn character_ahead(&self) -> Option<usize> {
        let rest = &self.letters[self.at..];
        match rest {
            ['\'', '\\', _, tail @ ..] => tail.iter().position(|letter| *letter == '\'').map(|end| end + 4),
            ['\'', _, '\'', ..] => Some(3),
            _ => None,
        }
    }

    fn sees(&self, text: &str) -> bool {
        text.chars().enumerate().all(|(index, letter)| self.letters.get(self.at + index) == Some(&letter))
    }

    fn take_code(&mut self, count: usize) {
        self.take(count, |parts, letter| {
            parts.code.push(letter);
            parts.comments.push(' ');
        });
    }

    fn take_comment(&mut self, count: usize) {
        self.take(count, |parts, letter| {
            parts.code.push(' ');
            parts.comments.push(letter);
        });
    }

    fn blank(&mut self, count: usize) {
        self.take(count, |parts, _| {
            parts.code.push(' ');
            parts.comments.push(' ');
        });
    }

    /// Moves on by `count` letters; line ends go to both parts, so that lines stay the same.
    fn take(&mut self, count: usize, mut keep: impl FnMut(&mut Parts, char)) {
        let end = (self.at + count).min(self.letters.len());
        for letter in &self.letters[self.at..end] {
            if *letter == '\n' {
                self.parts.code.push('\n');
                self.parts.comments.push('\n');
            } else {
                keep(&mut self.parts, *letter);
            }
        }
        self.at = end;
    }
}

#[cfg(test)]
mod tests {
    use super::Source;

    #[track_caller]
    fn check_code(text: &str, code: &str) {
        assert_eq!(Source::new("a.rs", text).code.trim_end(), code);
    }

    #[test]
    fn comments_and_literals_are_no_code() {
        check_code("a // b\nc", "a     \nc");
        check_code("a /* b /* c */ d */ e", "a                   e");
        check_code("a(\"b \\\" c\") d", "a(        ) d");
        check_code("a(r#\"b \" c\"#) d", "a(          ) d");
        check_code("f('{', '\\'', b'}', '\\u{7d}')", "f(   ,     , b   ,         )");
        check_code("fn f<'a>(x: &'a str, r#type: u8) {}", "fn f<'a>(x: &'a str, r#type: u8) {}");
    }

    #[test]
    fn functions_are_measured_from_fn_to_their_closing_brace() {
        let text = "trait T { fn none(&self); }\nfn one(\n    a: [u8; 4],\n) {\n    b\n}\nfn two() {}\n\
                    type F = fn(u8) -> u8;\n";
        let source = Source::new("a.rs", text);
        let found: Vec<_> =
            source.functions().into_iter().map(|function| (function.name, function.first, function.last)).collect();
        assert_eq!(found, [("one".to_owned(), 2, 6), ("two".to_owned(), 7, 7)]);
    }

    #[test]
    fn test_code_is_what_is_behind_cfg_test_and_what_lies_in_tests() {
        let text = "fn a() {}\n#[cfg(test)]\nmod tests {\n    fn b() {}\n}\nfn c() {}\n\
                    #[cfg(test)]\nuse x;\nfn d() {}\n#[cfg(not(test))]\nfn e() {}\n";
        let source = Source::new("a.rs", text);
        let tests: Vec<usize> = (1..=11).filter(|line| source.is_test(*line)).collect();
        assert_eq!(tests, [2, 3, 4, 5, 7, 8]);
        assert!(Source::new("cache-spec/tests/a.rs", text).is_test(1));
        assert!(Source::new("cache-spec/src/template/tests.rs", text).is_test(1));
    }

    #[test]
    fn an_excuse_needs_its_subject_and_a_reason() {
        let text = "// tidy: sleep because the kernel has to notice\n// first\nsleep();\n\
                    sleep(); // tidy: sleep because\nsleep(); // tidy: long because so\n";
        let source = Source::new("a.rs", text);
        let excused: Vec<usize> = (1..=5).filter(|line| source.excuses("sleep", *line)).collect();
        assert_eq!(excused, [1, 2, 3]);
    }
}
