use std::time::Duration;

use super::{MAX, parse, print};

#[track_caller]
fn check(text: &str, millis: u64) {
    assert_eq!(parse(text), Ok(Duration::from_millis(millis)));
}

#[track_caller]
fn check_print(millis: u64, text: &str) {
    assert_eq!(print(Duration::from_millis(millis)), text);
}

#[track_caller]
fn refuse(text: &str, part: &str, message: &str) {
    let mistake = parse(text).expect_err("not a duration");
    assert_eq!((&text[mistake.range], mistake.message.as_str()), (part, message));
}

#[test]
fn units_add_up() {
    check("5m", 300_000);
    check("1h30m", 5_400_000);
    check("250ms", 250);
    check("1d2h3m4s5ms", 93_784_005);
    check("0h5m", 300_000);
    check("007s", 7_000);
    check("90m", 5_400_000);
    check("36500d", 3_153_600_000_000);
}

#[test]
fn the_largest_units_are_printed_first() {
    check_print(5_400_000, "1h30m");
    check_print(93_784_005, "1d2h3m4s5ms");
    check_print(86_400_001, "1d1ms");
    check_print(0, "0s");
    assert_eq!(print(Duration::from_micros(1_999)), "1ms");
    assert_eq!(print(MAX), "36500d");
    assert_eq!(print(Duration::MAX), "213503982334601d7h15s999ms");
}

#[test]
fn numbers_have_units() {
    refuse("", "", "the duration is empty; write a number and a unit, as in `5m` or `1h30m`");
    refuse("300", "300", "`300` has no unit; write `300s` for seconds, or one of `d` `h` `m` `s` `ms`");
    refuse("5m30", "30", "`30` in `5m30` has no unit; write one of `d` `h` `m` `s` `ms`: `5m30s`");
    refuse("5min", "min", "`min` is no unit; write one of `d` `h` `m` `s` `ms`: `5m`");
    refuse("1w", "w", "`w` is no unit; write one of `d` `h` `m` `s` `ms`: `7d`");
    refuse("5M", "M", "`M` is no unit; write one of `d` `h` `m` `s` `ms`: `5m`");
    refuse("10us", "us", "`us` is no unit; write one of `d` `h` `m` `s` `ms`: `1ms`");
    refuse("5x", "x", "`x` is no unit; write one of `d` `h` `m` `s` `ms`, as in `1h30m`");
}

#[test]
fn units_have_whole_numbers() {
    refuse("1.5h", ".", "`1.5h` holds a fraction; write whole numbers with smaller units: `1h30m`");
    refuse("-5m", "-", "`-5m` is negative; write a time above zero: `5m`");
    refuse("5 m", " ", "`5 m` holds white space; write it without: `5m`");
    refuse("m", "m", "`m` stands in `m` where a number must; write numbers with units, as in `1h30m`");
    refuse(
        "Duration::ZERO",
        "D",
        "`D` stands in `Duration::ZERO` where a number must; \
         write numbers with units, as in `1h30m`",
    );
    refuse("PT5M", "P", "`P` stands in `PT5M` where a number must; write numbers with units: `5m`");
    refuse("٣m", "٣", "`٣` stands in `٣m` where a number must; write numbers with units, as in `1h30m`");
}

#[test]
fn units_stand_in_order_and_once() {
    refuse("30m1h", "1h", "`h` comes after `m` in `30m1h`; write the largest unit first: `1h30m`");
    refuse("1h1h", "1h", "`h` stands twice in `1h1h`; write each unit once: `2h`");
}

#[test]
fn neither_nothing_nor_for_ever() {
    refuse("0", "0", "`0` is no time at all; write at least `1ms`");
    refuse("0h0s", "0h0s", "`0h0s` is no time at all; write at least `1ms`");
    for text in ["36501d", "36500d1ms", "99999999999999999999s", "18446744073709551615d"] {
        refuse(text, text, &format!("`{text}` is too long; write at most `36500d`"));
    }
}
