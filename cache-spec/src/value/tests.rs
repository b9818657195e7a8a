use super::{ValueWriter, encode};

#[track_caller]
fn check(text: &str, encoded: &str) {
    let mut out = String::from("key:");
    encode(text, &mut out);
    assert_eq!(out, format!("key:{encoded}"));
}

#[test]
fn text_outside_the_alphabet_is_encoded() {
    check("", "");
    check("AZaz09_.~-", "AZaz09_.~-");
    check("a:b/c", "a%3Ab%2Fc");
    check("*{}!(),;%\n\0", "%2A%7B%7D%21%28%29%2C%3B%25%0A%00");
    check("é😀x", "%C3%A9%F0%9F%98%80x");
}

#[track_caller]
fn check_value(write: impl FnOnce(ValueWriter<'_>), text: &str) {
    let mut out = String::new();
    write(ValueWriter::new(&mut out));
    assert_eq!(out, text);
}

#[test]
fn plain_values() {
    check_value(|mut value| value.unsigned(42), "42");
    check_value(|mut value| value.unsigned(u128::MAX), "340282366920938463463374607431768211455");
    check_value(|mut value| value.signed(-7), "-7");
    check_value(|mut value| value.signed(i128::MIN), "-170141183460469231731687303715884105728");
    check_value(|mut value| value.boolean(true), "true");
    check_value(|mut value| value.boolean(false), "false");
    check_value(|mut value| value.character('x'), "x");
    check_value(|mut value| value.character(','), "%2C");
    check_value(|mut value| value.text("a b"), "a%20b");
}

#[test]
fn nested_options_differ() {
    check_value(|mut value| value.none(), "!");
    check_value(|mut value| value.some(|mut value| value.none()), "!!");
    check_value(|mut value| value.some(|mut value| value.some(|mut value| value.none())), "!!!");
    check_value(|mut value| value.some(|mut value| value.some(|mut value| value.text("!"))), "%21");
    check_value(|mut value| value.some(|mut value| value.text("")), "");
}

#[test]
fn items_stand_in_brackets() {
    check_value(|mut value| value.tuple(|_| ()), "");
    check_value(|mut value| value.tuple(|items| items.item().text("")), "()");
    check_value(
        |mut value| {
            value.tuple(|items| {
                items.item().text("a,b");
                items.item().tuple(|items| {
                    items.item().none();
                    items.item().unsigned(1);
                });
            });
        },
        "(a%2Cb,(!,1))",
    );
}

#[test]
fn variants_are_named() {
    check_value(|mut value| value.variant("Open", |_| ()), "Open");
    check_value(|mut value| value.variant("Größe", |items| items.item().unsigned(1)), "Gr%C3%B6%C3%9Fe(1)");
}

#[test]
fn several_values_do_not_run_together() {
    let mut out = String::new();
    let mut value = ValueWriter::new(&mut out);
    value.text("a");
    value.text("");
    value.none();
    assert_eq!(out, "a;;!");
}
