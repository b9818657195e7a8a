//! Words that were meant to go before the work was done.

use super::Problem;
use super::source::{Source, is_word, words};

/// A pattern that may not stand in code.
struct Leftover {
    /// What is looked for, in code without spaces before `!` and `(`.
    pattern: &'static str,
    place: Place,
    /// `// tidy: <subject> because ..` allows it.
    excuse: Option<&'static str>,
    why: &'static str,
    fix: &'static str,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    Everywhere,
    Tests,
}

const LEFTOVERS: &[Leftover] = &[
    Leftover {
        pattern: ".unwrap()",
        place: Place::Everywhere,
        excuse: None,
        why: "when it fails, it does not say why that was thought impossible",
        fix: "write `.expect(\"why this cannot be\")`, or return the error",
    },
    Leftover {
        pattern: "todo!",
        place: Place::Everywhere,
        excuse: None,
        why: "a stub is a promise that nobody keeps",
        fix: "write it, or leave out what needs it",
    },
    Leftover {
        pattern: "unimplemented!",
        place: Place::Everywhere,
        excuse: None,
        why: "a stub is a promise that nobody keeps",
        fix: "write it, or leave out what needs it",
    },
    Leftover {
        pattern: "sleep(",
        place: Place::Tests,
        excuse: Some("sleep"),
        why: "a sleep hides a race on one machine and is too short on the next",
        fix: "wait for the event, use a manual clock, or write `// tidy: sleep because ..`",
    },
];

const COMMENT_WORDS: &[&str] = &["TODO", "FIXME", "XXX"];

pub(crate) fn check(source: &Source) -> Vec<Problem> {
    // UI tests hold code as users write it.
    if source.is_test_file() && source.path.contains("/ui/") {
        return Vec::new();
    }
    let mut problems = Vec::new();
    for (line, code) in source.code_lines() {
        let found = LEFTOVERS.iter().filter(|leftover| stands(leftover, source, line, code));
        problems.extend(found.map(|leftover| Problem {
            path: source.path.clone(),
            line,
            what: format!("`{}`", leftover.pattern.trim_end_matches('(')),
            why: leftover.why,
            fix: leftover.fix.to_owned(),
        }));
    }
    problems.extend(allowances(source));
    problems.extend(comment_words(source));
    problems
}

fn stands(leftover: &Leftover, source: &Source, line: usize, code: &str) -> bool {
    let excused = leftover.excuse.is_some_and(|subject| source.excuses(subject, line));
    let placed = match leftover.place {
        Place::Everywhere => true,
        Place::Tests => source.is_test(line),
    };
    placed && contains(code, leftover.pattern) && !excused
}

/// Whether `pattern` stands in `code` as a word of its own: not the end of a longer word, and, when
/// it begins as a word, neither a method (of a clock of ours, say) nor the name of a function.
fn contains(code: &str, pattern: &str) -> bool {
    let starts_as_word = pattern.starts_with(is_word);
    code.match_indices(pattern).any(|(start, _)| {
        let before = &code[..start];
        let is_part = before.ends_with(|letter| is_word(letter) || letter == '.');
        !starts_as_word || !is_part && !before.trim_end().ends_with("fn")
    })
}

/// `#[allow(..)]` with neither `reason = ..` nor a comment that gives one.
fn allowances(source: &Source) -> Vec<Problem> {
    let mut problems = Vec::new();
    for (start, _) in words(&source.code, "allow") {
        let before = source.code[..start].trim_end();
        let line = source.line_of(start);
        let rest = source.code[start..].split(']').next().unwrap_or_default();
        let attribute = before.ends_with("#[") || before.ends_with("#![");
        let has_reason = words(rest, "reason").next().is_some();
        if attribute && !has_reason && !source.excuses("allow", line) {
            problems.push(Problem {
                path: source.path.clone(),
                line,
                what: "`#[allow(..)]` without a reason".to_owned(),
                why: "the next reader cannot know whether it is still needed",
                fix: "write `#[expect(.., reason = \"..\")]`, or `#[allow(.., reason = \"..\")]` \
                      in generated code (or `// tidy: allow because ..` above it)"
                    .to_owned(),
            });
        }
    }
    problems
}

fn comment_words(source: &Source) -> Vec<Problem> {
    let found = source.comment_lines().flat_map(|(line, comment)| {
        let here = COMMENT_WORDS.iter().filter(|word| words(comment, word).next().is_some());
        here.map(move |word| (line, *word))
    });
    found
        .map(|(line, word)| Problem {
            path: source.path.clone(),
            line,
            what: format!("`{word}` in a comment"),
            why: "nobody is reminded by a comment",
            fix: "do it, or open an issue and say in the comment what holds today".to_owned(),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::{Source, check};

    #[track_caller]
    fn check_places(path: &str, text: &str, expected: &[(usize, &str)]) {
        let problems = check(&Source::new(path, text));
        let found: Vec<_> = problems.iter().map(|problem| (problem.line, problem.what.as_str())).collect();
        assert_eq!(found, expected, "in:\n{text}");
    }

    #[test]
    fn stubs_and_unwraps_are_found_in_code_only() {
        check_places("src/a.rs", "a();\nb.unwrap();\n", &[(2, "`.unwrap()`")]);
        check_places("src/a.rs", "todo!()", &[(1, "`todo!`")]);
        check_places("src/a.rs", "unimplemented!()", &[(1, "`unimplemented!`")]);
        check_places("src/a.rs", "/// `b.unwrap()` and `todo!()`\nf(\"c.unwrap()\");\n", &[]);
        check_places("src/a.rs", "a.unwrap_or(b); not_todo!();", &[]);
    }

    #[test]
    fn reminders_are_found_in_comments() {
        check_places("src/a.rs", "// TODO: later\na();\n", &[(1, "`TODO` in a comment")]);
        check_places("src/a.rs", "/* FIXME */", &[(1, "`FIXME` in a comment")]);
        check_places("src/a.rs", "// TODOS of a user\nlet a = \"TODO\";", &[]);
    }

    #[test]
    fn an_allowance_needs_a_reason() {
        let what = "`#[allow(..)]` without a reason";
        check_places("src/a.rs", "#[allow(dead_code)]\nfn a() {}", &[(1, what)]);
        check_places("src/a.rs", "#![allow(\n    dead_code,\n)]", &[(1, what)]);
        check_places("src/a.rs", "#[allow(dead_code, reason = \"generated\")]", &[]);
        check_places("src/a.rs", "// tidy: allow because generated\n#[allow(dead_code)]", &[]);
        check_places("src/a.rs", "fn allow(a: u8) {}", &[]);
    }

    #[test]
    fn a_sleep_in_a_test_needs_a_reason() {
        let test = "#[cfg(test)]\nmod tests {\n    fn a() { thread::sleep(b); }\n}\n";
        check_places("src/a.rs", test, &[(3, "`sleep`")]);
        check_places("tests/tests/a.rs", "tokio::time::sleep(b).await;", &[(1, "`sleep`")]);
        check_places("tests/tests/a.rs", "sleep(b).await;", &[(1, "`sleep`")]);
        check_places("tests/tests/a.rs", "// tidy: sleep because time is virtual\nsleep(b);", &[]);
        check_places("src/a.rs", "fn a() { thread::sleep(b); }", &[]);
        check_places("tests/tests/a.rs", "oversleep(b); clock.sleep(b); fn sleep(b: u8) {}", &[]);
    }

    #[test]
    fn ui_tests_hold_the_code_of_users() {
        check_places("tests/ui/ttl/zero.rs", "a.unwrap();", &[]);
    }
}
