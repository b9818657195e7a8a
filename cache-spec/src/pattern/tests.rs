use crate::template::Template;

use super::{Pattern, PatternPiece};

#[track_caller]
fn parsed(text: &str) -> Pattern {
    Pattern::parse(text).expect("a pattern without mistakes")
}

#[track_caller]
fn template(text: &str) -> Template {
    Template::parse(text).expect("a template without mistakes")
}

#[track_caller]
fn check(text: &str, mistakes: &[(&str, &str)]) {
    let found = Pattern::parse(text).err().unwrap_or_default();
    let found: Vec<_> = found.iter().map(|mistake| (&text[mistake.range.clone()], mistake.message.as_str())).collect();
    assert_eq!(found, mistakes);
}

#[test]
fn it_is_printed_as_it_is_written() {
    for text in ["user:<id>", "user:<tenant>:*", "user:*:<id>:*.x", "a<<*/<x:hash>", "user"] {
        assert_eq!(parsed(text).to_string(), text);
    }
}

#[test]
fn it_falls_into_pieces() {
    let pattern = parsed("user:<tenant>:*");
    let literal = |text: &str| PatternPiece::Literal(text.to_owned());
    assert_eq!(pattern.pieces(), [literal("user:"), PatternPiece::Value(0), literal(":"), PatternPiece::Any]);
    assert_eq!(pattern.placeholders()[0].path(), "tenant");
    assert!(pattern.is_group());
    assert!(!parsed("user:<tenant>").is_group());
}

#[test]
fn it_is_written_like_a_template() {
    check(
        "*",
        &[(
            "*",
            "`*` cannot come first; \
             a pattern begins with a word that says what is cached, as in `user:*`",
        )],
    );
    check("a:<>", &[("<>", "`<>` holds no name; write the event field's name, as in `<id>`")]);
    check(
        "a:<self.id>",
        &[(
            "self",
            "`self` is no event field; the placeholders of a pattern name fields of the event, \
             as in `<id>`",
        )],
    );
}

#[test]
fn a_star_is_separated_like_a_placeholder() {
    check("a:**", &[("**", "`**` says no more than `*`; write `*`")]);
    check(
        "a:<x>*",
        &[(
            "<x>*",
            "nothing separates `<x>` from `*`, so a key would not tell where one ends; \
             put a separator between them, as in `<x>:*`",
        )],
    );
    check(
        "a:*-<x>",
        &[(
            "-",
            "`-` may occur inside a value, so it does not separate `*` from `<x>`; \
             use one of `:` `/` `=` `@` `|` `+`, as in `*:<x>`",
        )],
    );
}

#[track_caller]
fn check_bind(pattern: &str, template_text: &str, binds: &[usize]) {
    assert_eq!(parsed(pattern).bind(&template(template_text)), Ok(binds.to_vec()));
}

#[test]
fn placeholders_are_bound_by_place() {
    check_bind("user:<a>:<b>", "user:<tenant>:<id>", &[0, 1]);
    check_bind("user:<a>:<b>", "user:<x>:<x>", &[0, 0]);
    check_bind("user:<a>:<b>:<a>", "user:<x>:<y>:<x>", &[0, 1]);
    check_bind("user:<a:hash>", "user:<id:hash>", &[0]);
    check_bind("user", "user", &[]);
}

#[test]
fn a_last_star_takes_all_the_rest() {
    check_bind("user:<a>:*", "user:<tenant>:<id>/<part>.x", &[0]);
    check_bind("us*", "user:<id>", &[]);
    check_bind("user*", "user", &[]);
    check_bind("user:*", "user:", &[]);
}

#[test]
fn an_inner_star_takes_one_part() {
    check_bind("user:*:<a>", "user:<tenant>:<id>", &[1]);
    check_bind("user:*:<a>:*", "user:<x>:<y>:<z>:<w>", &[1]);
    check_bind("user:*b:<a>", "user:a<x>bb:<y>", &[1]);
    check_bind("user:*:<a>", "user:fixed:<y>", &[0]);
    check_bind("user:*x", "user:<id>x", &[]);
    check_bind("user:a*", "user:ab<id>", &[]);
}

#[track_caller]
fn check_unfit(pattern: &str, template_text: &str, part: &str, wrong: &str) {
    let mistake = parsed(pattern).bind(&template(template_text)).expect_err("they do not fit");
    let message = format!("`{pattern}` does not fit the template `{template_text}`: {wrong}");
    assert_eq!((&pattern[mistake.range], mistake.message), (part, message));
}

#[test]
fn other_text_does_not_fit() {
    check_unfit(
        "usr:<a>",
        "user:<id>",
        "usr:",
        "it has `r:<a>` where the template has `er:<id>`; write the same text as the template there",
    );
    check_unfit(
        "user:<a>",
        "user:new",
        "<a>",
        "it has `<a>` where the template has `new`; write the same text as the template there",
    );
    check_unfit(
        "user:new",
        "user:<id>",
        "user:new",
        "it has `new` where the template has `<id>`; \
         write a field of the event, as in `<id>`, or `*`",
    );
    check_unfit(
        "user:*b:<a>",
        "user:<x>:<y>",
        "b:",
        "it has `b:<a>` where the template has `<x>:<y>`; \
         write a field of the event, as in `<x>`, or `*`",
    );
}

#[test]
fn another_length_does_not_fit() {
    let goes_on = "it goes on with `:*` where the template ends; leave that out";
    check_unfit("user:*:*", "user:<id>", ":", goes_on);
    let ends = |rest: &str, fix: &str| format!("it ends where the template goes on with `{rest}`; write `{fix}`");
    check_unfit("user:<a>", "user:<x>:<y>", "<a>", &ends(":<y>", "user:<a>:*"));
    check_unfit("user", "user:<y>", "user", &ends(":<y>", "user:*"));
    check_unfit("user:", "user:<y>", "user:", &ends("<y>", "user:*"));
    check_unfit("user:<a>", "user:<x>.json", "<a>", &ends(".json", "user:<a>.json"));
    check_unfit("user:<a>", "user:<x><<", "<a>", &ends("<<", "user:<a><<"));
}

#[test]
fn values_must_be_the_same() {
    check_unfit("user:<a>", "user:<id:hash>", "<a>", "`<a>` stands for `<id:hash>`; write `<a:hash>`");
    check_unfit("user:<a:hash>", "user:<id>", "<a:hash>", "`<a:hash>` stands for `<id>`; write `<a>`");
    check_unfit(
        "user:<a>:<a>",
        "user:<x>:<y>",
        "<a>",
        "`<a>` stands for `<x>` and for `<y>`; \
         name two fields of the event, or write `*` for one of them",
    );
}

#[track_caller]
fn check_event(text: &str, expected: Result<&str, &str>) {
    let template = template(text);
    let found = Pattern::of_event(&template);
    if let Ok(pattern) = &found {
        let all: Vec<_> = (0..template.placeholders().len()).collect();
        assert_eq!(pattern.bind(&template), Ok(all));
    }
    let found = found.map(|pattern| pattern.to_string()).map_err(|mistake| mistake.message);
    assert_eq!(found, expected.map(str::to_owned).map_err(str::to_owned));
}

#[test]
fn a_bare_event_names_its_fields_like_the_template() {
    check_event("a:<x>/<order.id:hash>=<<<self.shop>", Ok("a:<x>/<id:hash>=<<<shop>"));
    check_event("a:<x>:<x:hash>:<x>", Ok("a:<x>:<x:hash>:<x>"));
    check_event("a", Ok("a"));
}

#[test]
fn a_bare_event_cannot_have_two_fields_of_one_name() {
    check_event(
        "a:<x.id>:<y.id>",
        Err("`<x.id>` and `<y.id>` would both be the event's field `id`; \
             write the fields out, as in `Event => a:<x_id>:<y_id>`"),
    );
    check_event(
        "a:<pair.0>",
        Err("`<pair.0>` ends in no name for a field of the event; \
             write the fields out, as in `Event => a:<pair_0>`"),
    );
}
