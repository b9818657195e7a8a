//! Import layers of cache-runtime: imports point down only.
//!
//! The layers are the table in `xtask/layers.txt`. A name that `lib.rs` re-exports counts as an
//! import of the module it comes from, so that the root is no way around a layer.

use std::collections::{BTreeMap, BTreeSet};

use super::Problem;
use super::source::{Source, is_word, words};

pub(crate) const TABLE: &str = "xtask/layers.txt";
const FOLDER: &str = "cache-runtime/src/";
const WHY: &str = "a reader (and a change) of one layer must not need the layers above it";

/// Module -> place of its layer, counted from the top.
struct Layers<'a> {
    names: Vec<&'a str>,
    place: BTreeMap<&'a str, usize>,
}

/// A path that starts at the root of the crate: the first name after `crate::`.
struct Import {
    line: usize,
    name: String,
}

pub(crate) fn check(table: &str, sources: &[Source]) -> Vec<Problem> {
    let runtime: Vec<&Source> = sources.iter().filter(|source| source.path.starts_with(FOLDER)).collect();
    let modules: BTreeSet<&str> = runtime.iter().filter_map(|source| module_of(&source.path)).collect();
    let layers = parse(table);
    let mut problems = check_table(table, &layers, &modules);
    let exports = runtime.iter().find(|source| is_root(source)).map(|root| exports(root));
    let exports = exports.unwrap_or_default();
    for source in runtime.iter().filter(|source| !is_root(source)) {
        problems.extend(check_imports(source, &layers, &exports));
    }
    problems
}

fn is_root(source: &Source) -> bool {
    source.path.strip_prefix(FOLDER) == Some("lib.rs")
}

/// The top module a file belongs to: `redis` for `redis.rs` and for `redis/bus.rs`.
fn module_of(path: &str) -> Option<&str> {
    let rest = path.strip_prefix(FOLDER)?;
    let name = rest.split('/').next()?.trim_end_matches(".rs");
    (name != "lib").then_some(name)
}

/// Reads lines `layer: module module ..`, from the top layer to the bottom one.
fn parse(table: &str) -> Layers<'_> {
    let mut layers = Layers { names: Vec::new(), place: BTreeMap::new() };
    for line in table.lines().filter(|line| !line.trim_start().starts_with('#')) {
        let modules = match line.split_once(':') {
            Some((name, modules)) => {
                layers.names.push(name.trim());
                modules
            }
            // A line without a colon goes on with the layer above.
            None => line,
        };
        let place = layers.names.len().saturating_sub(1);
        layers.place.extend(modules.split_whitespace().map(|module| (module, place)));
    }
    layers
}

/// The table and the sources name the same modules.
fn check_table(table: &str, layers: &Layers<'_>, modules: &BTreeSet<&str>) -> Vec<Problem> {
    let missing = modules.iter().filter(|module| !layers.place.contains_key(*module));
    let mut problems: Vec<Problem> = missing
        .map(|module| Problem {
            path: format!("{FOLDER}{module}.rs"),
            line: 1,
            what: format!("module `{module}` has no layer"),
            why: WHY,
            fix: format!("add it to one of the layers in {TABLE}: {}", layers.names.join(", ")),
        })
        .collect();
    let stale = layers.place.keys().filter(|module| !modules.contains(*module));
    problems.extend(stale.map(|module| Problem {
        path: TABLE.to_owned(),
        line: line_naming(table, module),
        what: format!("there is no module `{module}` in {FOLDER}"),
        why: "a table that names what is gone is not read for long",
        fix: "take it out of the table".to_owned(),
    }));
    problems
}

fn line_naming(table: &str, module: &str) -> usize {
    table.lines().position(|line| words(line, module).next().is_some()).unwrap_or(0) + 1
}

/// Name -> module, for each `pub use module::Name` of `lib.rs`.
fn exports(root: &Source) -> BTreeMap<String, String> {
    let mut exports = BTreeMap::new();
    for (_, after) in words(&root.code, "use") {
        let statement = root.code[after..].split(';').next().unwrap_or_default();
        let path = statement.trim().trim_start_matches("crate::");
        let Some((module, names)) = path.split_once("::") else {
            continue;
        };
        for name in leaves(names) {
            exports.insert(name.to_owned(), module.trim().to_owned());
        }
    }
    exports
}

/// The names a use tree brings in: `a::{B, c::D as E}` gives `B` and `E`.
fn leaves(tree: &str) -> impl Iterator<Item = &str> {
    tree.split([',', '{', '}'])
        .map(|leaf| leaf.rsplit([':', ' ']).next().unwrap_or_default())
        .filter(|name| !name.is_empty())
}

fn check_imports(source: &Source, layers: &Layers<'_>, exports: &BTreeMap<String, String>) -> Vec<Problem> {
    let own = module_of(&source.path).expect("the root was left out");
    let Some(own_place) = layers.place.get(own) else {
        return Vec::new();
    };
    let mut problems = Vec::new();
    for import in imports(source).into_iter().filter(|import| !source.is_test(import.line)) {
        let module = exports.get(&import.name).unwrap_or(&import.name).as_str();
        let Some(place) = layers.place.get(module).filter(|place| *place < own_place) else {
            continue;
        };
        problems.push(Problem {
            path: source.path.clone(),
            line: import.line,
            what: format!(
                "`{own}` ({}) imports `{}` of `{module}` ({}), which is above it",
                layers.names[*own_place], import.name, layers.names[*place]
            ),
            why: WHY,
            fix: format!("move what both need down, or pass it in; the layers are in {TABLE}"),
        });
    }
    problems
}

/// Every path from the root of the crate: `crate::a`, `crate::{a, b::c}`, and `super::a` where
/// `super` is the root.
fn imports(source: &Source) -> Vec<Import> {
    let depth = module_depth(&source.path);
    let from_root = format!("{}::", vec!["super"; depth].join("::"));
    let mut imports = Vec::new();
    for prefix in ["crate::", from_root.as_str()] {
        for (start, _) in source.code.match_indices(prefix) {
            let before = source.code[..start].chars().next_back();
            if before.is_some_and(|letter| is_word(letter) || letter == ':') {
                continue;
            }
            let names = first_names(&source.code[start + prefix.len()..]);
            let line = source.line_of(start);
            imports.extend(names.into_iter().map(|name| Import { line, name }));
        }
    }
    imports
}

/// How many `super` lead from a file to the root: 1 for `a.rs`, 2 for `a/b.rs`.
fn module_depth(path: &str) -> usize {
    path.trim_start_matches(FOLDER).split('/').count()
}

/// The first names of a use tree: `a` in `a::b`, `a` and `b` in `{a::{x, y}, b}`.
fn first_names(tree: &str) -> Vec<String> {
    let word = |text: &str| text.chars().take_while(|letter| is_word(*letter)).collect::<String>();
    let Some(list) = tree.strip_prefix('{') else {
        return vec![word(tree)];
    };
    let mut names = Vec::new();
    let (mut depth, mut begin) = (0_usize, 0_usize);
    for (index, letter) in list.char_indices() {
        match letter {
            '{' => depth += 1,
            ',' if depth == 0 => {
                names.push(word(list[begin..index].trim_start()));
                begin = index + 1;
            }
            '}' if depth == 0 => {
                names.push(word(list[begin..index].trim_start()));
                break;
            }
            '}' => depth -= 1,
            _ => {}
        }
    }
    names.retain(|name| !name.is_empty());
    names
}

#[cfg(test)]
mod tests {
    use super::{Source, check, leaves};

    const TABLE: &str = "# comment\ndoors: cache\npaths: read\nwords: key\n   event\n";

    /// Sources that satisfy the table, with the given files added or put in their place.
    fn problems(table: &str, files: &[(&str, &str)]) -> Vec<(String, usize, String)> {
        let mut all = vec![("cache.rs", ""), ("read.rs", ""), ("key.rs", ""), ("event.rs", "")];
        all.retain(|(path, _)| !files.iter().any(|(other, _)| other == path));
        all.extend(files);
        let sources: Vec<Source> =
            all.iter().map(|(path, text)| Source::new(format!("cache-runtime/src/{path}"), text)).collect();
        let place = |path: &str| path.rsplit('/').next().unwrap_or_default().to_owned();
        let problems = check(table, &sources).into_iter();
        problems.map(|problem| (place(&problem.path), problem.line, problem.what)).collect()
    }

    #[track_caller]
    fn check_one(files: &[(&str, &str)], file: &str, line: usize, what: &str) {
        let expected = [(file.to_owned(), line, what.to_owned())];
        assert_eq!(problems(TABLE, files), expected, "in {files:?}");
    }

    #[test]
    fn imports_may_point_down_and_sideways() {
        let read = "use crate::key::Key;\nuse crate::{event, key::{A, B}};\nfn f() { crate::key::x() }";
        let key = "use crate::event::Event;";
        assert_eq!(problems(TABLE, &[("read.rs", read), ("key.rs", key)]), []);
    }

    #[test]
    fn an_import_that_points_up_is_found_however_it_is_written() {
        let up = "`key` (words) imports `read` of `read` (paths), which is above it";
        check_one(&[("key.rs", "\nuse crate::read::Read;")], "key.rs", 2, up);
        check_one(&[("key.rs", "use crate::{event, read::{A, B}};")], "key.rs", 1, up);
        check_one(&[("key.rs", "use crate::{\n    event::{C, D},\n    read,\n};")], "key.rs", 1, up);
        check_one(&[("key.rs", "fn f() { crate::read::now() }")], "key.rs", 1, up);
        check_one(&[("key.rs", "use super::read;")], "key.rs", 1, up);
        check_one(&[("key.rs", ""), ("key/part.rs", "use super::super::read;")], "part.rs", 1, up);
        check_one(&[("key.rs", "macro_rules! m { () => { $crate::read::x() } }")], "key.rs", 1, up);
    }

    #[test]
    fn the_root_is_no_way_around_a_layer() {
        let root = "mod cache;\npub use cache::{Cache, Builder as CacheBuilder};\npub use key::Key;";
        let up = "`read` (paths) imports `Cache` of `cache` (doors), which is above it";
        let files = [("lib.rs", root), ("read.rs", "use crate::{Cache, Key};")];
        check_one(&files, "read.rs", 1, up);
        let renamed = "`read` (paths) imports `CacheBuilder` of `cache` (doors), which is above it";
        let files = [("lib.rs", root), ("read.rs", "fn f(b: crate::CacheBuilder) {}")];
        check_one(&files, "read.rs", 1, renamed);
    }

    #[test]
    fn tests_and_words_may_say_what_they_like() {
        let key = "//! Read by [`crate::read`].\n#[cfg(test)]\nmod tests {\n    use crate::read::R;\n}";
        assert_eq!(problems(TABLE, &[("key.rs", key)]), []);
    }

    #[test]
    fn a_module_without_a_layer_is_told_where_to_go() {
        check_one(&[("lease.rs", "use crate::cache;")], "lease.rs", 1, "module `lease` has no layer");
        check_one(&[("lease/slot.rs", "")], "lease.rs", 1, "module `lease` has no layer");
    }

    #[test]
    fn a_layer_of_a_module_that_is_gone_is_found() {
        let found = problems("doors: cache\npaths: read\nwords: key event\n  lease\n", &[]);
        let what = "there is no module `lease` in cache-runtime/src/".to_owned();
        assert_eq!(found, [("layers.txt".to_owned(), 4, what)]);
    }

    #[test]
    fn a_use_tree_brings_in_its_leaves() {
        assert_eq!(leaves("{A, b::C as D, e::{F, G}}").collect::<Vec<_>>(), ["A", "D", "F", "G"]);
        assert_eq!(leaves("A").collect::<Vec<_>>(), ["A"]);
    }
}
