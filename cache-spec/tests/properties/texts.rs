//! The parsers on any text: no panic, ranges inside the text, what is printed is read back.

use std::time::Duration;

use cache_spec::pattern::Pattern;
use cache_spec::subscription::Subscription;
use cache_spec::template::Template;
use cache_spec::{Jitter, Mistake, duration, name, suggest};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;

use crate::world::template;

/// Any text, most of it made of what the parsers look for.
fn text() -> impl Strategy<Value = String> {
    let words = select(vec![
        "user",
        "id",
        "a",
        "A",
        "self",
        "r#",
        "hash",
        "0",
        "00",
        "5",
        "1.5",
        "99999999999999999999",
        "d",
        "h",
        "m",
        "s",
        "ms",
        "min",
        "week",
        "µs",
        "<",
        "<<",
        ">",
        "<id>",
        "<a.b:hash>",
        "<a.0>",
        ":",
        "::",
        ".",
        "/",
        "=",
        "@",
        "|",
        "+",
        "-",
        "_",
        "*",
        "=>",
        "->",
        " ",
        "\n",
        ",",
        "{",
        "}",
        "${",
        "%",
        "`",
        "\"",
        "é",
        "e\u{301}",
        "\u{200b}",
        "\u{10ffff}",
        "\0",
        "()",
    ]);
    prop_oneof![
        4 => vec(words, 0..8).prop_map(|words| words.concat()),
        1 => any::<String>(),
    ]
}

#[track_caller]
fn check_mistakes(text: &str, mistakes: &[Mistake]) {
    assert!(!mistakes.is_empty());
    assert!(mistakes.is_sorted_by_key(|mistake| mistake.range.start), "{mistakes:?}");
    for Mistake { range, message } in mistakes {
        assert!(text.get(range.clone()).is_some(), "{range:?} is no part of {text:?}");
        assert!(!message.ends_with(['.', ' ']) && message.len() > 10, "{message}");
        assert!(!message.contains(char::is_control), "{message:?}");
        assert!(!message.starts_with(char::is_uppercase), "{message}");
    }
}

/// The right form that a message about a duration ends with.
fn suggested(message: &str) -> Option<&str> {
    let (_, form) = message.strip_suffix('`')?.rsplit_once('`')?;
    Some(form)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(600))]

    #[test]
    fn templates_and_patterns_are_read_back(text in text()) {
        match Template::parse(&text) {
            Ok(template) => prop_assert_eq!(Template::parse(&template.to_string()), Ok(template)),
            Err(mistakes) => check_mistakes(&text, &mistakes),
        }
        match Pattern::parse(&text) {
            Ok(pattern) => prop_assert_eq!(Pattern::parse(&pattern.to_string()), Ok(pattern)),
            Err(mistakes) => check_mistakes(&text, &mistakes),
        }
    }

    #[test]
    fn right_templates_are_printed_as_they_are_written(template in template()) {
        let text = template.to_string();
        prop_assert_eq!(Template::parse(&text), Ok(template.clone()));
        for placeholder in template.placeholders() {
            prop_assert_eq!(&text[placeholder.range()], placeholder.to_string());
        }
    }

    #[test]
    fn subscriptions_are_read_back(text in text(), event in "(A|a::B|)( => |=>)?") {
        let text = event + &text;
        match Subscription::parse(&text) {
            Ok(read) => prop_assert_eq!(Subscription::parse(&read.to_string()), Ok(read)),
            Err(mistakes) => check_mistakes(&text, &mistakes),
        }
    }

    #[test]
    fn a_pattern_fits_or_says_where_not(pattern in text(), template in template()) {
        if let Ok(pattern) = Pattern::parse(&("u:".to_owned() + &pattern))
            && let Err(mistake) = pattern.bind(&template)
        {
            check_mistakes(&pattern.to_string(), &[Mistake { range: 0..0, ..mistake.clone() }]);
        }
        if let Ok(subscription) = Subscription::parse(&format!("A => u:{pattern}"))
            && let Some(Err(mistake)) = subscription.pattern.map(|pattern| pattern.bind(&template))
        {
            check_mistakes(&format!("A => u:{pattern}"), &[mistake]);
        }
    }

    #[test]
    fn durations_are_read_back(text in text()) {
        match duration::parse(&text) {
            Ok(read) => prop_assert_eq!(duration::parse(&duration::print(read)), Ok(read)),
            Err(mistake) => {
                check_mistakes(&text, std::slice::from_ref(&mistake));
                let form = suggested(&mistake.message);
                prop_assert!(form.is_some_and(|form| form == "ms" || duration::parse(form).is_ok()), "{}", mistake);
            }
        }
    }

    #[test]
    fn whole_milliseconds_are_read_back(millis in 1..=duration::MAX.as_millis()) {
        let written = Duration::from_millis(u64::try_from(millis).expect("the longest one fits"));
        prop_assert_eq!(duration::parse(&duration::print(written)), Ok(written));
    }

    #[test]
    fn names_and_jitter_are_checked(text in text(), percent: u64) {
        for found in [name::check_app(&text), name::check_event(&text), Jitter::parse(&text).map(drop)] {
            if let Err(mistake) = found {
                check_mistakes(&text, &[mistake]);
            }
        }
        prop_assert_eq!(Jitter::new(percent).is_ok(), percent <= 100);
        prop_assert_eq!(Jitter::new(percent), Jitter::parse(&percent.to_string()));
    }

    #[test]
    fn a_suggestion_is_one_of_the_candidates(name in text(), candidates in vec(text(), 0..4)) {
        let found = suggest::nearest(&name, candidates.iter().map(String::as_str));
        prop_assert!(found.is_none_or(|found| candidates.iter().any(|candidate| candidate == found)));
    }
}
