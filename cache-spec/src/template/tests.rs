use super::{Piece, Template};

const LITERALS: &str = "outside placeholders it may hold ASCII letters, digits, `_` `.` `~` `-` \
                        and the separators `:` `/` `=` `@` `|` `+`";
const FIRST: &str = "a template begins with a word that says what is cached, as in `user:<id>`";
const NAME: &str = "a name is letters, digits and `_`, and does not begin with a digit";

/// Each mistake as the part of the text that it is about, and its message.
#[track_caller]
fn check(text: &str, mistakes: &[(&str, &str)]) {
    let found = Template::parse(text).err().unwrap_or_default();
    let found: Vec<_> = found.iter().map(|mistake| (&text[mistake.range.clone()], mistake.message.as_str())).collect();
    assert_eq!(found, mistakes);
}

#[track_caller]
fn parsed(text: &str) -> Template {
    Template::parse(text).expect("a template without mistakes")
}

#[track_caller]
fn check_print(text: &str, printed: &str) {
    let template = parsed(text);
    assert_eq!(template.to_string(), printed);
    assert_eq!(parsed(printed), template);
}

#[test]
fn it_is_printed_as_it_is_written() {
    for text in ["user", "user:<id>", "a<<<id>", "a.b~c_d-e/<x>=<y>@<z>|<w>+1", "a:<x:hash>:<x>"] {
        check_print(text, text);
    }
    check_print("user:<r#type>", "user:<type>");
    check_print("user:<self.pair.0.r#fn:hash>", "user:<self.pair.0.fn:hash>");
    check_print("user:<größe>", "user:<größe>");
}

#[test]
fn it_falls_into_pieces_and_distinct_placeholders() {
    let template = parsed("a<<:<order.id>/<x:hash>=<order.id>:<x>.z");
    let literal = |text: &str| Piece::Literal(text.to_owned());
    assert_eq!(
        template.pieces(),
        [
            literal("a<:"),
            Piece::Value(0),
            literal("/"),
            Piece::Value(1),
            literal("="),
            Piece::Value(0),
            literal(":"),
            Piece::Value(2),
            literal(".z")
        ]
    );
    let shown: Vec<_> = template.placeholders().iter().map(ToString::to_string).collect();
    assert_eq!(shown, ["<order.id>", "<x:hash>", "<x>"]);
    let order = &template.placeholders()[0];
    assert_eq!((order.path(), order.root(), order.last()), ("order.id", "order", "id"));
    assert_eq!((order.fields(), order.hashed(), order.range()), (&["id".to_owned()][..], false, 4..14));
    let x = &template.placeholders()[1];
    assert_eq!((x.path(), x.root(), x.last(), x.hashed()), ("x", "x", "x", true));
    assert!(x.fields().is_empty());
}

#[test]
fn it_is_not_empty_and_begins_with_a_word() {
    let empty = "the template is empty; \
                 begin with a word that says what is cached, as in `user:<id>`";
    check("", &[("", empty)]);
    check(" \n", &[(" \n", empty)]);
    check("<id>", &[("<id>", &format!("`<id>` cannot come first; {FIRST}"))]);
    check("9:<id>", &[("9", &format!("`9` cannot come first; {FIRST}"))]);
    check(":user", &[(":", &format!("`:` cannot come first; {FIRST}"))]);
    check("<<a", &[("<<", &format!("`<<` cannot come first; {FIRST}"))]);
}

#[test]
fn characters_outside_the_alphabet_are_named() {
    check("é:<id>", &[("é", &format!("`é` cannot stand in a template; {LITERALS}"))]);
    check("a b", &[(" ", &format!("` ` (a space) cannot stand in a template; {LITERALS}"))]);
    check("a%41", &[("%", &format!("`%` cannot stand in a template; {LITERALS}"))]);
    check("a{b", &[("{", &format!("`{{` cannot stand in a template; {LITERALS}"))]);
    check("a?b`c\n?", &[("?", &format!("`?` and a backtick and `\\n` cannot stand in a template; {LITERALS}"))]);
    check(
        "user:*",
        &[(
            "*",
            "`*` cannot stand in a template, which names one key at a time; \
             groups stand in `invalidate_on`, as in `Event => user:<tenant>:*`",
        )],
    );
}

#[test]
fn other_notations_of_placeholders_are_translated() {
    check("user:{id}", &[("{id}", "`{id}` is no placeholder; write `<id>`")]);
    check("user:{}", &[("{}", "`{}` is no placeholder; write `<id>`")]);
    check("user:${order.id:?}", &[("${order.id:?}", "`${order.id:?}` is no placeholder; write `<order.id>`")]);
    check("user:#{id}", &[("#{id}", "`#{id}` is no placeholder; write `<id>`")]);
}

#[test]
fn brackets_come_in_pairs() {
    check("a:<id", &[("<id", "`<id` is never closed; write `<id>`")]);
    check("a:<id:hash", &[("<id:hash", "`<id:hash` is never closed; write `<id:hash>`")]);
    check("a:<id:profile", &[("<id", "`<id` is never closed; write `<id>`")]);
    check("a:<x:<y>", &[("<x", "`<x` is never closed; write `<x>`")]);
    check(
        "a:<",
        &[(
            "<",
            "`<` opens a placeholder that never ends; \
             write a name and `>`, as in `<id>`, or `<<` for a literal `<`",
        )],
    );
    check("a:<id>>", &[(">", "`>` closes nothing; leave it out, or write a placeholder, as in `<id>`")]);
    check("a:id>", &[(">", "the `>` after `id` closes nothing; leave it out, or write `<id>`")]);
    check(
        "a:<<id:hash>>",
        &[(">>", "`<<` is a literal `<`, so the `>` after `id:hash` closes nothing; write `<id:hash>`")],
    );
}

#[test]
fn placeholders_hold_names() {
    check("a:<>", &[("<>", "`<>` holds no name; write the argument's name, as in `<id>`")]);
    check("a:< >", &[("< >", "`< >` holds no name; write the argument's name, as in `<id>`")]);
    check("a:< x . y : hash >", &[("< x . y : hash >", "`< x . y : hash >` holds white space; write `<x.y:hash>`")]);
    check("a:<x, y>", &[("x, y", "`x, y` is more than one name; write a placeholder for each, as in `<x>:<y>`")]);
}

#[test]
fn names_are_those_of_rust() {
    check("a:<1st>", &[("1st", &format!("`1st` names no argument; {NAME}, as in `id`"))]);
    check("a:<&id>", &[("&id", &format!("`&id` names no argument; {NAME}; did you mean `id`?"))]);
    check("a:<_>", &[("_", &format!("`_` names no argument; {NAME}, as in `id`"))]);
    check("a:<x.y()>", &[("y()", "`y()` is a call; a placeholder takes names, fields and tuple indexes, as in `y`")]);
    check("a:<x::y>", &[("x::y", "`::` cannot stand in `<x::y>`; fields follow a `.`, as in `<x.y>`")]);
    check("a:<x..y>", &[("x..y", "`<x..y>` holds an empty name; write `<x.y>`")]);
    check("a:<.>", &[(".", "`<.>` holds an empty name; write `<id>`")]);
    check("a:<0>", &[("0", &format!("`0` names no argument; {NAME}, as in `id`"))]);
}

#[test]
fn keywords_without_a_raw_form_name_nothing() {
    check(
        "a:<self>",
        &[(
            "self",
            "`<self>` is a whole value; name the field that tells two of them apart, \
             as in `<self.id>`",
        )],
    );
    check(
        "a:<crate>",
        &[("crate", "`crate` names no argument, it is a keyword; write the argument's name, as in `id`")],
    );
    check(
        "a:<x.r#self>",
        &[("r#self", "`r#self` names no field, it is a keyword; write the field's name, as in `id`")],
    );
}

#[test]
fn tuple_indexes_are_written_as_in_rust() {
    check("a:<x.0.1>", &[]);
    check("a:<x.00>", &[("00", "`00` is no tuple index; write `0`")]);
    check("a:<x.07>", &[("07", "`07` is no tuple index; write `7`")]);
    check("a:<x.4294967296>", &[("4294967296", "`4294967296` is too large for a tuple index; write one, as in `0`")]);
}

#[test]
fn the_only_modifier_is_hash() {
    check("a:<id:hsh>", &[("hsh", "`hsh` is no modifier; did you mean `<id:hash>`?")]);
    check("a:<id:json>", &[("json", "`json` is no modifier; write `<id>` or `<id:hash>`")]);
    check("a:<id:>", &[("", "`<id:>` names no modifier; write `<id>` or `<id:hash>`")]);
    check("a:<id:hash:hash>", &[("hash:hash", "`hash:hash` is no modifier; write `<id>` or `<id:hash>`")]);
}

#[test]
fn separators_stand_between_placeholders() {
    let touching = "so a key would not tell where one ends; put a separator between them";
    check("a:<x><y>", &[("<x><y>", &format!("nothing separates `<x>` from `<y>`, {touching}, as in `<x>:<y>`"))]);
    check(
        "a:<x<y>",
        &[
            ("<x", "`<x` is never closed; write `<x>`"),
            ("<x<y>", &format!("nothing separates `<x>` from `<y>`, {touching}, as in `<x>:<y>`")),
        ],
    );
    check(
        "a:<x>-1.<y>",
        &[(
            "-1.",
            "`-1.` may occur inside a value, so it does not separate `<x>` from `<y>`; \
             use one of `:` `/` `=` `@` `|` `+`, as in `<x>:<y>`",
        )],
    );
    check("a:<x>-/.<y>", &[]);
    check("a:<x><<<y>", &[]);
}

#[test]
fn all_mistakes_come_at_once_in_order() {
    check(
        "{x}<y> <>:<self>:<z:nope>*é",
        &[
            ("{x}", "`{x}` is no placeholder; write `<x>`"),
            ("{x}", &format!("`{{x}}` cannot come first; {FIRST}")),
            (
                "{x}<y>",
                "nothing separates `<x>` from `<y>`, so a key would not tell where one ends; \
                 put a separator between them, as in `<x>:<y>`",
            ),
            (" ", &format!("` ` (a space) and `é` cannot stand in a template; {LITERALS}")),
            ("<>", "`<>` holds no name; write the argument's name, as in `<id>`"),
            (
                "self",
                "`<self>` is a whole value; name the field that tells two of them apart, \
                 as in `<self.id>`",
            ),
            ("nope", "`nope` is no modifier; write `<z>` or `<z:hash>`"),
            (
                "*",
                "`*` cannot stand in a template, which names one key at a time; \
                 groups stand in `invalidate_on`, as in `Event => user:<tenant>:*`",
            ),
        ],
    );
}
