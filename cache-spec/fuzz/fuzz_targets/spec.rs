//! One text for every parser; its two halves, cut at the first line break, for what takes two.

#![no_main]

use cache_spec::pattern::Pattern;
use cache_spec::subscription::Subscription;
use cache_spec::template::Template;
use cache_spec::{Jitter, Mistake, duration, name, suggest, value};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    read_back(text);
    let (one, other) = text.split_once('\n').unwrap_or((text, text));
    lay_over(one, other);
    encode(one, other);
    suggest::nearest(one, [other]);
});

fn read_back(text: &str) {
    check(text, Template::parse(text), |text| Template::parse(text));
    check(text, Pattern::parse(text), |text| Pattern::parse(text));
    check(text, Subscription::parse(text), |text| {
        Subscription::parse(text)
    });
    match duration::parse(text) {
        Ok(read) => assert_eq!(duration::parse(&duration::print(read)), Ok(read)),
        Err(mistake) => check_mistakes(text, &[mistake]),
    }
    for found in [
        name::check_app(text),
        name::check_event(text),
        Jitter::parse(text).map(drop),
    ] {
        if let Err(mistake) = found {
            check_mistakes(text, &[mistake]);
        }
    }
}

fn check<T, P>(text: &str, found: Result<T, Vec<Mistake>>, parse: P)
where
    T: std::fmt::Debug + std::fmt::Display + PartialEq,
    P: Fn(&str) -> Result<T, Vec<Mistake>>,
{
    match found {
        Ok(read) => assert_eq!(parse(&read.to_string()), Ok(read)),
        Err(mistakes) => check_mistakes(text, &mistakes),
    }
}

fn check_mistakes(text: &str, mistakes: &[Mistake]) {
    assert!(!mistakes.is_empty());
    for Mistake { range, message } in mistakes {
        assert!(
            text.get(range.clone()).is_some(),
            "{range:?} is no part of {text:?}"
        );
        assert!(
            !message.is_empty() && !message.contains(char::is_control),
            "{message:?}"
        );
    }
}

/// Two templates that overlap, a pattern over a template.
fn lay_over(one: &str, other: &str) {
    let Ok(template) = Template::parse(one) else {
        return;
    };
    if let Ok(other) = Template::parse(other) {
        let key = template.common_key(&other);
        assert_eq!(key.is_some(), template.overlaps(&other));
        assert_eq!(key, other.common_key(&template));
    }
    if let Ok(pattern) = Pattern::parse(other) {
        match pattern.bind(&template) {
            Ok(binds) => assert_eq!(binds.len(), pattern.placeholders().len()),
            Err(mistake) => check_mistakes(other, &[mistake]),
        }
    }
    if let Ok(bare) = Pattern::of_event(&template) {
        assert_eq!(
            bare.bind(&template).map(|binds| binds.len()),
            Ok(template.placeholders().len())
        );
    }
}

/// Different texts stay different, and no separator comes out.
fn encode(one: &str, other: &str) {
    let [first, second] = [one, other].map(|text| {
        let mut out = String::new();
        value::encode(text, &mut out);
        out
    });
    assert_eq!(one == other, first == second);
    assert!(
        first
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"_.~-%".contains(&byte))
    );
}
