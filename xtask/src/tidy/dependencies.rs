//! Every dependency says why it is here.

use super::Problem;

const WHY: &str = "a dependency is code that all of our users compile and trust";

/// Checks `[workspace.dependencies]` of the root manifest: a comment above each entry, or above
/// the group (lines without an empty one between them) that it stands in.
pub(crate) fn check_reasons(manifest: &str) -> Vec<Problem> {
    let mut problems = Vec::new();
    let mut group_has_reason = false;
    for (line, section, text) in lines(manifest) {
        if section != "[workspace.dependencies]" {
            continue;
        }
        if text.is_empty() || text.starts_with('[') {
            group_has_reason = false;
        } else if text.starts_with('#') {
            group_has_reason = true;
        } else if let Some((name, value)) = entry(text)
            && !group_has_reason
            && !value.contains("path")
        {
            problems.push(Problem {
                path: "Cargo.toml".to_owned(),
                line,
                what: format!("dependency `{name}` gives no reason"),
                why: WHY,
                fix: "write above it, or above its group, what it is for and what was not taken".to_owned(),
            });
        }
    }
    problems
}

/// Checks a member's manifest: what it depends on is named in the root manifest, with its reason.
pub(crate) fn check_member(path: &str, manifest: &str) -> Vec<Problem> {
    let own = lines(manifest).filter_map(|(line, section, text)| {
        let (name, value) = entry(text).filter(|_| section.contains("dependencies"))?;
        let inherited = name.ends_with(".workspace") || value.contains("workspace");
        (!inherited && !value.contains("path")).then_some((line, name))
    });
    own.map(|(line, name)| Problem {
        path: path.to_owned(),
        line,
        what: format!("dependency `{name}` has a version of its own"),
        why: WHY,
        fix: "name it in `[workspace.dependencies]` with its reason, and write \
              `workspace = true` here"
            .to_owned(),
    })
    .collect()
}

/// Line number, section header and trimmed text of each line.
fn lines(manifest: &str) -> impl Iterator<Item = (usize, &str, &str)> {
    let mut section = "";
    manifest.lines().enumerate().map(move |(index, line)| {
        let text = line.trim();
        if text.starts_with('[') {
            section = text;
        }
        (index + 1, section, text)
    })
}

/// Name and value of `name = value`.
fn entry(text: &str) -> Option<(&str, &str)> {
    if text.starts_with(['#', '[']) {
        return None;
    }
    let (name, value) = text.split_once('=')?;
    let name = name.trim();
    let letter = |letter: char| letter.is_ascii_alphanumeric() || "-_.".contains(letter);
    (!name.is_empty() && name.chars().all(letter)).then_some((name, value.trim()))
}

#[cfg(test)]
mod tests {
    use super::{Problem, check_member, check_reasons};

    fn places(problems: &[Problem]) -> Vec<(usize, &str)> {
        problems.iter().map(|problem| (problem.line, problem.what.as_str())).collect()
    }

    #[test]
    fn a_dependency_or_its_group_has_a_comment_above() {
        let manifest = "[workspace.dependencies]\nours = { path = \"ours\" }\n\n\
                        # reason\nsyn = \"3\"\nquote = \"1\"\n\nserde = { version = \"1\" }\n";
        assert_eq!(places(&check_reasons(manifest)), [(8, "dependency `serde` gives no reason")]);
    }

    #[test]
    fn a_comment_of_another_section_is_no_reason() {
        let manifest = "# words\n[workspace.dependencies]\nsyn = \"3\"\n[profile.release]\na = 1\n";
        assert_eq!(places(&check_reasons(manifest)), [(3, "dependency `syn` gives no reason")]);
    }

    #[test]
    fn a_member_inherits_what_it_depends_on() {
        let manifest = "[package]\nversion = \"1\"\n[dependencies]\na.workspace = true\n\
                        b = { workspace = true, optional = true }\nc = \"1\"\n\
                        [dev-dependencies]\nd = { path = \"../d\" }\ne = { version = \"2\" }\n";
        assert_eq!(
            places(&check_member("a/Cargo.toml", manifest)),
            [(6, "dependency `c` has a version of its own"), (9, "dependency `e` has a version of its own")]
        );
    }
}
