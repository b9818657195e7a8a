//! A bound pattern against keys.

use cache_spec::pattern::Pattern;
use cache_spec::template::{Piece, Template};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;

use crate::world::{accepted_template, group, is_separator, key, template};

/// A template and a pattern that must fit it: its own text with other names, an inner part and the
/// end perhaps replaced by `*`.
fn fitting() -> impl Strategy<Value = (Template, Pattern)> {
    (template(), any::<proptest::sample::Index>(), any::<proptest::sample::Index>(), 0..4_u8).prop_map(
        |(template, part, cut, stars)| {
            let written = renamed(&template);
            let mut parts = split(&written);
            if stars & 1 != 0 {
                let part = part.index(parts.len());
                if part > 0 {
                    let fixed = parts[part].0.rsplit('>').next().unwrap_or_default();
                    parts[part].0 = format!("*{fixed}");
                }
            }
            if stars & 2 != 0 {
                let cut = cut.index(parts.len());
                if cut > 0 {
                    parts.truncate(cut + 1);
                    parts[cut] = (String::from("*"), String::new());
                }
            }
            let text: String = parts.into_iter().map(|(part, separator)| part + &separator).collect();
            let pattern = Pattern::parse(&text);
            (template, pattern.unwrap_or_else(|mistakes| panic!("{text:?}: {mistakes:?}")))
        },
    )
}

/// The template as a pattern: no `self`, and no name twice for different paths.
fn renamed(template: &Template) -> String {
    template.to_string().replace("self.", "me.")
}

/// The parts of a written pattern, each with the separator behind it.
fn split(text: &str) -> Vec<(String, String)> {
    let mut parts = vec![(String::new(), String::new())];
    let mut rest = text;
    while let Some(c) = rest.chars().next() {
        let last = parts.last_mut().expect("there is a part from the start");
        let length = match c {
            '<' if !rest.starts_with("<<") => rest.find('>').expect("it is closed") + 1,
            '<' => 2,
            _ => c.len_utf8(),
        };
        let (token, after) = rest.split_at(length);
        rest = after;
        if token == "<<" || is_separator(c) && length == 1 {
            last.1.push_str(token);
            parts.push((String::new(), String::new()));
        } else {
            last.0.push_str(token);
        }
    }
    parts
}

/// Whether `key` is in `group`: a `*` at the end stands for the rest, another one for one part.
fn is_in(key: &str, group: &str) -> bool {
    match group.split_once('*') {
        None => key == group,
        Some((before, "")) => key.starts_with(before),
        Some((before, after)) => {
            let Some(rest) = key.strip_prefix(before) else {
                return false;
            };
            let longest = rest.find(is_separator).unwrap_or(rest.len());
            (0..=longest).any(|end| is_in(&rest[end..], after))
        }
    }
}

fn values(template: &Template) -> impl Strategy<Value = Vec<String>> + use<> {
    vec("[a-c0.-]{0,2}", template.placeholders().len())
}

fn with_values(
    (template, pattern): (Template, Pattern),
) -> impl Strategy<Value = (Template, Pattern, Vec<String>, Vec<String>)> {
    let (one, other) = (values(&template), values(&template));
    (Just(template), Just(pattern), one, other)
}

/// A template, and its text as a pattern with anything in the places of its placeholders.
fn chance() -> impl Strategy<Value = (Template, Pattern, Vec<String>, Vec<String>)> {
    let part = select(vec!["<x>", "<x>", "<y>", "<x:hash>", "*", "*a", "a"]);
    (accepted_template(), vec(part, 6))
        .prop_filter_map("a mistake", |(template, parts)| {
            let mut parts = parts.into_iter();
            let text = template.pieces().iter().map(|piece| match piece {
                Piece::Literal(text) => text.replace('<', "<<"),
                Piece::Value(_) => parts.next().unwrap_or("*").to_owned(),
            });
            let pattern = Pattern::parse(&text.collect::<String>()).ok()?;
            Some((template, pattern))
        })
        .prop_flat_map(with_values)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn each_key_is_in_the_group_of_its_own_values_only((template, pattern, one, other) in fitting().prop_flat_map(with_values)) {
        let binds = pattern.bind(&template);
        prop_assert!(binds.is_ok(), "{:?}", binds);
        let binds = binds.expect("it was just checked");
        prop_assert_eq!(binds.len(), pattern.placeholders().len());
        let pick = |values: &[String]| binds.iter().map(|&index| values[index].clone()).collect::<Vec<_>>();
        let key = key(&template, &one);
        prop_assert!(is_in(&key, &group(&pattern, &pick(&one))), "{} in {}", template, pattern);
        if pick(&one) != pick(&other) {
            prop_assert!(!is_in(&key, &group(&pattern, &pick(&other))), "{} in {}", template, pattern);
        }
        if !pattern.is_group() {
            prop_assert_eq!(group(&pattern, &pick(&one)), key);
        }
    }

    /// Patterns that were not made to fit: if they bind, it is right.
    #[test]
    fn what_binds_by_chance_is_right_too((template, pattern, one, other) in chance()) {
        if let Ok(binds) = pattern.bind(&template) {
            let pick = |values: &[String]| binds.iter().map(|&index| values[index].clone()).collect::<Vec<_>>();
            let key = key(&template, &one);
            prop_assert!(is_in(&key, &group(&pattern, &pick(&one))), "{} in {}", template, pattern);
            prop_assert!(pick(&one) == pick(&other) || !is_in(&key, &group(&pattern, &pick(&other))));
        }
    }

    #[test]
    fn a_bare_event_binds_to_its_own_template((template, _) in fitting()) {
        if let Ok(pattern) = Pattern::of_event(&template) {
            let all: Vec<_> = (0..template.placeholders().len()).collect();
            prop_assert_eq!(pattern.bind(&template), Ok(all));
            prop_assert!(!pattern.is_group());
        }
    }
}
