//! Distinct arguments give distinct keys.

use std::collections::{HashMap, HashSet};

use cache_spec::template::Template;
use cache_spec::value::{ValueWriter, encode};
use proptest::prelude::*;

use crate::world::{Shape, Value, accepted_template, is_separator, key, parse, shape, small_values, template, value};

/// Two argument tuples of the same types, often equal in part.
fn two_calls(arguments: usize) -> impl Strategy<Value = Vec<(Value, Value)>> {
    let argument = shape().prop_flat_map(|shape| {
        (value(&shape), value(&shape), any::<bool>())
            .prop_map(|(one, other, same)| (one.clone(), if same { one } else { other }))
    });
    proptest::collection::vec(argument, arguments)
}

fn call() -> impl Strategy<Value = (Template, Vec<(Value, Value)>)> {
    template().prop_flat_map(|template| {
        let arguments = template.placeholders().len();
        (Just(template), two_calls(arguments))
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(500))]

    #[test]
    fn different_values_have_different_texts(pair in two_calls(1)) {
        let (one, other) = &pair[0];
        prop_assert_eq!(one == other, one.text() == other.text(), "{}", one.text());
    }

    #[test]
    fn small_values_never_collide(shape in shape()) {
        check_distinct(&small_values(&shape));
    }

    #[test]
    fn short_values_never_collide_in_any_template(template in accepted_template()) {
        let texts = ["", "-", "x", "9.", "x-", "-x"];
        let mut calls = vec![Vec::new()];
        for _ in template.placeholders() {
            let longer = calls.iter().flat_map(|call: &Vec<String>| {
                texts.iter().map(|text| [&call[..], &[(*text).to_owned()]].concat())
            });
            calls = longer.collect();
        }
        let keys: HashSet<_> = calls.iter().map(|call| key(&template, call)).collect();
        prop_assert_eq!(keys.len(), calls.len(), "{}", template);
    }

    #[test]
    fn the_text_of_a_value_holds_no_separator(pair in two_calls(1)) {
        let text = pair[0].0.text();
        prop_assert!(text.chars().all(|c| c.is_ascii_graphic() && !is_separator(c) && !"*{}[]?\\\"".contains(c)), "{}", text);
    }

    #[test]
    fn different_arguments_give_different_keys((template, arguments) in call()) {
        let one: Vec<_> = arguments.iter().map(|(one, _)| one.text()).collect();
        let other: Vec<_> = arguments.iter().map(|(_, other)| other.text()).collect();
        let same = arguments.iter().all(|(one, other)| one == other);
        prop_assert_eq!(same, key(&template, &one) == key(&template, &other), "{}", template);
    }
}

#[track_caller]
fn check_distinct(values: &[Value]) {
    let mut seen = HashMap::new();
    for value in values {
        let before = seen.insert(value.text(), value);
        assert_eq!(before, None, "{value:?}");
    }
}

#[test]
fn nesting_is_told_apart() {
    let list = |item| Shape::List(Box::new(item));
    let option = |inner| Shape::Option(Box::new(inner));
    check_distinct(&small_values(&list(list(Shape::Text))));
    check_distinct(&small_values(&list(option(list(option(Shape::Text))))));
    check_distinct(&small_values(&option(option(option(Shape::Tuple(Vec::new()))))));
    let fields = vec![vec![], vec![Shape::Text], vec![option(Shape::Text), list(Shape::Boolean)]];
    check_distinct(&small_values(&list(Shape::Enum(fields))));
}

/// Every tuple of two short texts over the characters that keys are made of.
#[test]
fn short_texts_never_collide() {
    let mut texts = vec![String::new()];
    for length in 0..3 {
        let longest = texts.iter().filter(|text| text.chars().count() == length);
        let longer = longest.flat_map(|text| "a:!%(,;<".chars().map(move |c| format!("{text}{c}")));
        texts.extend(longer.collect::<Vec<_>>());
    }
    let template = parse("k:<x>:<y>");
    let mut seen = HashMap::new();
    for x in &texts {
        for y in texts.iter().take(80) {
            let values = [x, y].map(|text| {
                let mut out = String::new();
                encode(text, &mut out);
                out
            });
            let before = seen.insert(key(&template, &values), (x, y));
            assert_eq!(before, None);
        }
    }
}

fn digit(byte: u8) -> u8 {
    let at = b"0123456789ABCDEF".iter().position(|&digit| digit == byte);
    u8::try_from(at.expect("an upper-case digit")).expect("there are sixteen")
}

/// What `encode` wrote, read back.
fn decode(text: &str) -> String {
    let mut bytes = Vec::new();
    let mut rest = text.as_bytes();
    while let [first, after @ ..] = rest {
        let (byte, after) = match (first, after) {
            (b'%', [high, low, after @ ..]) => (digit(*high) * 16 + digit(*low), after),
            (byte, after) => (*byte, after),
        };
        bytes.push(byte);
        rest = after;
    }
    String::from_utf8(bytes).expect("what was encoded is text")
}

#[track_caller]
fn check_decodes(text: &str) {
    let mut out = String::new();
    encode(text, &mut out);
    assert!(decode(&out) == text, "{} bytes are read back differently", text.len());
}

#[test]
fn all_of_unicode_is_read_back() {
    check_decodes(&('\0'..=char::MAX).collect::<String>());
}

#[test]
fn a_megabyte_is_told_from_another() {
    let template = parse("k:<x>:<y>");
    let long = "é:".repeat(1 << 18) + &"a".repeat(1 << 18);
    let texts = [long.clone(), long.clone() + "a", long[..long.len() - 1].to_owned() + "b"];
    let keys = texts.each_ref().map(|text| {
        let mut out = String::new();
        ValueWriter::new(&mut out).some(|mut out| out.text(text));
        key(&template, &[out, String::new()])
    });
    assert!(keys[0] != keys[1] && keys[1] != keys[2] && keys[0] != keys[2]);
}
