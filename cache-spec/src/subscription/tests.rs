use super::Subscription;

#[track_caller]
fn check(text: &str, printed: &str) {
    let subscription = Subscription::parse(text).expect("a subscription without mistakes");
    assert_eq!(subscription.to_string(), printed);
    assert_eq!(Subscription::parse(printed), Ok(subscription));
}

#[track_caller]
fn refuse(text: &str, mistakes: &[(&str, &str)]) {
    let found = Subscription::parse(text).expect_err("not a subscription");
    let found: Vec<_> = found.iter().map(|mistake| (&text[mistake.range.clone()], mistake.message.as_str())).collect();
    assert_eq!(found, mistakes);
}

#[test]
fn an_event_alone_or_with_a_pattern() {
    check("UserUpdated", "UserUpdated");
    check(" events :: UserUpdated ", "events::UserUpdated");
    check("::shop::events::r#type", "::shop::events::r#type");
    check("crate::super::A", "crate::super::A");
    check("A=>user:<tenant>:*", "A => user:<tenant>:*");
    check("A => user:<id>\n", "A => user:<id>");
}

#[test]
fn ranges_count_from_the_beginning_of_the_text() {
    let text = "A => user:<x>:<y>";
    let pattern = Subscription::parse(text).ok().and_then(|subscription| subscription.pattern);
    let pattern = pattern.expect("a pattern stands behind the arrow");
    assert_eq!(&text[pattern.placeholders()[1].range()], "<y>");
    let template = crate::template::Template::parse("user:<id>").expect("no mistakes");
    let mistake = pattern.bind(&template).expect_err("it is longer");
    assert_eq!(&text[mistake.range], ":");
}

const PATH: &str = "write the path of an event's type, as in `UserUpdated` or `events::UserUpdated`";

#[test]
fn events_are_paths() {
    refuse("user:id", &[("user:id", &format!("`user:id` is no type; {PATH}"))]);
    refuse("a::&B", &[("a::&B", &format!("`&B` in `a::&B` is no name; {PATH}"))]);
    refuse("A::", &[("A::", &format!("`A::` holds an empty name; {PATH}"))]);
    refuse("a::crate", &[("a::crate", &format!("`crate` cannot stand inside `a::crate`; {PATH}"))]);
    refuse(
        "Changed<User>",
        &[("Changed<User>", "`Changed<User>` has generic arguments, but an event is a plain type; write `Changed`")],
    );
}

#[test]
fn both_sides_of_the_arrow_are_needed() {
    refuse(
        "",
        &[(
            "",
            "the subscription is empty; write the type of an event, as in `UserUpdated`, \
             or `UserUpdated => user:<id>`",
        )],
    );
    refuse("A =>", &[("=>", "nothing stands behind `=>`; write a pattern, as in `A => user:<id>`, or `A` alone")]);
    refuse("=> a:<x>", &[("=>", "no event stands before `=>`; write its type, as in `Event => a:<x>`")]);
    refuse(
        "user:<id>",
        &[("user:<id>", "`user:<id>` names no event; write its type first, as in `Event => user:<id>`")],
    );
    refuse("A -> user:*", &[("A -> user:*", "`A -> user:*` has no `=>` behind the event; write `A => user:*`")]);
    refuse("A => B => c", &[("=>", "`=>` stands twice in `A => B => c`; write one subscription per text")]);
}

#[test]
fn one_text_names_one_event() {
    let message = "one text names one event; write a list, `[\"A\", \"B => user:*\"]`";
    refuse("A, B => user:*", &[(",", message)]);
}

#[test]
fn mistakes_of_both_sides_come_at_once() {
    refuse(
        " 9 => user:<>:<x, y>",
        &[
            ("9", &format!("`9` is no type; {PATH}")),
            ("<>", "`<>` holds no name; write the event field's name, as in `<id>`"),
            ("x, y", "`x, y` is more than one name; write a placeholder for each, as in `<x>:<y>`"),
        ],
    );
}
