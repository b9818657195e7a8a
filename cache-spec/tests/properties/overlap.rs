//! `overlaps` against brute force.

use std::collections::HashSet;
use std::slice;

use cache_spec::template::{Piece, Template};
use proptest::prelude::*;

use crate::world::{is_separator, key, parse, small_template, template};

/// All texts over `a` and `b` up to a length.
fn texts(length: u32) -> Vec<String> {
    let mut texts = vec![String::new()];
    for at in 0..(1 << length) - 1 {
        texts.extend(["a", "b"].map(|c| texts[at].clone() + c));
    }
    texts
}

/// All keys of `template` with values up to a length.
fn keys(template: &Template, length: u32) -> HashSet<String> {
    let values = texts(length);
    let mut calls = vec![Vec::new()];
    for _ in template.placeholders() {
        let longer = calls
            .iter()
            .flat_map(|call: &Vec<String>| values.iter().map(|value| [&call[..], slice::from_ref(value)].concat()));
        calls = longer.collect();
    }
    calls.iter().map(|call| key(template, call)).collect()
}

/// Whether `pieces` can be `text`, each value for itself.
fn produces(pieces: &[Piece], text: &str) -> bool {
    match pieces {
        [] => text.is_empty(),
        [Piece::Literal(literal), rest @ ..] => {
            text.strip_prefix(literal.as_str()).is_some_and(|text| produces(rest, text))
        }
        [Piece::Value(_), rest @ ..] => {
            let longest = text.find(is_separator).unwrap_or(text.len());
            (0..=longest).any(|end| produces(rest, &text[end..]))
        }
    }
}

#[track_caller]
fn check_witness(one: &Template, other: &Template) {
    if let Some(key) = one.common_key(other) {
        assert!(produces(one.pieces(), &key), "{key} is no key of {one}");
        assert!(produces(other.pieces(), &key), "{key} is no key of {other}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn templates_with_a_key_in_common_overlap(one in small_template(), other in small_template()) {
        let collide = !keys(&one, 3).is_disjoint(&keys(&other, 3));
        prop_assert!(one.overlaps(&other) || !collide, "{} and {}", one, other);
        check_witness(&one, &other);
    }

    #[test]
    fn the_common_key_is_one_of_both(one in template(), other in template()) {
        check_witness(&one, &other);
        prop_assert_eq!(one.overlaps(&other), other.overlaps(&one));
        prop_assert!(one.overlaps(&one));
    }

    #[test]
    fn a_template_overlaps_its_own_keys(one in small_template()) {
        for key in keys(&one, 3).into_iter().take(50) {
            let fixed = parse(&key);
            prop_assert_eq!(one.common_key(&fixed), Some(key));
        }
    }
}

/// Every pair of parts with up to two characters on each side of a placeholder, or up to four
/// without one. Two of them have a key in common only if they have one with values up to four.
#[test]
fn single_parts_agree_with_brute_force() {
    let sides = texts(2);
    let open = sides.iter().flat_map(|before| sides.iter().map(move |after| format!("k:{before}<x>{after}")));
    let fixed = texts(4).into_iter().map(|text| format!("k:{text}"));
    let all: Vec<_> = open.chain(fixed).map(|text| parse(&text)).map(|one| (keys(&one, 4), one)).collect();
    for (one_keys, one) in &all {
        for (other_keys, other) in &all {
            assert_eq!(one.overlaps(other), !one_keys.is_disjoint(other_keys), "{one} and {other}");
            check_witness(one, other);
        }
    }
}
