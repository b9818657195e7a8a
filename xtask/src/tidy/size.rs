//! Files and functions that grew beyond what one reads in one go.

use super::Problem;
use super::source::{Function, Source};

const FILE_LINES: usize = 400;
const FUNCTION_LINES: usize = 50;

/// The folders whose sources are measured. Test files are lists of cases and may be long.
const MEASURED: &[&str] = &["cache-spec/", "cache-macros/", "cache-runtime/", "cache-cli/", "examples/", "xtask/"];

pub(crate) fn check(source: &Source) -> Vec<Problem> {
    let measured = MEASURED.iter().any(|folder| source.path.starts_with(folder));
    if !measured || source.is_test_file() {
        return Vec::new();
    }
    let functions = source.functions();
    let mut problems: Vec<Problem> = functions.iter().filter_map(|function| long_function(source, function)).collect();
    problems.extend(long_file(source, &functions));
    problems
}

fn long_function(source: &Source, function: &Function) -> Option<Problem> {
    let lines = function.last - function.first + 1;
    let excused = reason_lines(source, function).any(|line| source.excuse_on("long", line));
    if lines <= FUNCTION_LINES || source.is_test(function.first) || excused {
        return None;
    }
    Some(Problem {
        path: source.path.clone(),
        line: function.first,
        what: format!("`{}` has {lines} lines, {FUNCTION_LINES} is the limit", function.name),
        why: "a function is read in one go, and a step with a name explains itself",
        fix: "give its steps names, or write `// tidy: long because ..` in or above it".to_owned(),
    })
}

fn long_file(source: &Source, functions: &[Function]) -> Option<Problem> {
    let lines = source.code_lines().filter(|(line, _)| !source.is_test(*line)).count();
    let excused = source.comment_lines().any(|(line, _)| {
        let of_a_function = functions.iter().any(|function| reason_lines(source, function).any(|own| own == line));
        !of_a_function && source.excuse_on("long", line)
    });
    if lines <= FILE_LINES || excused {
        return None;
    }
    Some(Problem {
        path: source.path.clone(),
        line: 1,
        what: format!("the file has {lines} lines without its tests, {FILE_LINES} is the limit"),
        why: "a file is one subject; two subjects are found sooner under two names",
        fix: "move one subject out, or write `// tidy: long because ..` at the top".to_owned(),
    })
}

/// Where the reason for a long function may stand: in it, or in the comment above it.
fn reason_lines<'a>(source: &'a Source, function: &'a Function) -> impl Iterator<Item = usize> + 'a {
    source.comment_block_above(function.first).chain(function.first..=function.last)
}

#[cfg(test)]
mod tests {
    use super::{Source, check};

    fn function(lines: usize) -> String {
        format!("fn long() {{\n{}}}\n", "    step();\n".repeat(lines - 2))
    }

    #[track_caller]
    fn check_places(path: &str, text: &str, expected: &[(usize, &str)]) {
        let problems = check(&Source::new(path, text));
        let found: Vec<_> = problems.iter().map(|problem| (problem.line, problem.what.as_str())).collect();
        assert_eq!(found, expected);
    }

    #[test]
    fn a_function_may_have_50_lines() {
        check_places("xtask/src/a.rs", &function(50), &[]);
        let text = format!("\n{}", function(51));
        check_places("xtask/src/a.rs", &text, &[(2, "`long` has 51 lines, 50 is the limit")]);
    }

    #[test]
    fn a_file_may_have_400_lines_beside_its_tests() {
        let tests = format!("#[cfg(test)]\nmod tests {{\n{}}}\n", "    // case\n".repeat(300));
        let allowed = format!("{}{tests}", "// words\n".repeat(400));
        check_places("xtask/src/a.rs", &allowed, &[]);
        let what = "the file has 401 lines without its tests, 400 is the limit";
        check_places("xtask/src/a.rs", &format!("const A: u8 = 1;\n{allowed}"), &[(1, what)]);
    }

    #[test]
    fn a_written_reason_excuses_what_it_stands_at() {
        let reason = "// tidy: long because it is one table\n";
        check_places("xtask/src/a.rs", &format!("{reason}#[x]\n{}", function(60)), &[]);
        let inside = function(60).replacen("    step();\n", &format!("    {reason}"), 1);
        check_places("xtask/src/a.rs", &inside, &[]);
        let long_file = format!("{reason}\n{}", "const A: u8 = 1;\n".repeat(401));
        check_places("xtask/src/a.rs", &long_file, &[]);
    }

    #[test]
    fn a_functions_reason_does_not_excuse_its_file() {
        let reason = "// tidy: long because it is one table\n";
        let text = format!("{}{reason}fn a() {{}}\n", "const A: u8 = 1;\n".repeat(401));
        let what = "the file has 403 lines without its tests, 400 is the limit";
        check_places("xtask/src/a.rs", &text, &[(1, what)]);
    }

    #[test]
    fn tests_and_other_folders_are_not_measured() {
        check_places("cache-spec/tests/a.rs", &function(500), &[]);
        check_places("benches/src/a.rs", &function(500), &[]);
        check_places("xtask/src/a.rs", &format!("#[cfg(test)]\nmod tests {{\n{}}}\n", function(60)), &[]);
    }
}
