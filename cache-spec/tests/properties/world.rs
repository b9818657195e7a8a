//! Random templates and typed values, and what the tests need to judge them by.

use cache_spec::pattern::{Pattern, PatternPiece};
use cache_spec::template::{Piece, Template};
use cache_spec::value::{Items, ValueWriter};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;

/// Any template: every character of the alphabet, paths, digests, repeated placeholders.
pub(crate) fn template() -> impl Strategy<Value = Template> {
    let placeholder = "<(id|x|self\\.[a-c]|(a|b)(\\.[a-c]|\\.[0-3]){0,2})(:hash)?>";
    let part = ("[A-Za-z0-9_.~-]{0,2}([:/=@|+]|<<)[A-Za-z0-9_.~:/-]{0,3}", placeholder)
        .prop_map(|(literal, placeholder)| literal + &placeholder);
    ("[a-z][A-Z0-9_.~:-]{0,3}", proptest::option::of(placeholder), vec(part, 0..5), "(:[a-z]*)?")
        .prop_map(|(word, first, parts, end)| parse(&(word + &first.unwrap_or_default() + &parts.concat() + &end)))
}

/// Templates that are likely to overlap: short, over few characters, no placeholder twice.
pub(crate) fn small_template() -> impl Strategy<Value = Template> {
    let part = |name: char| {
        ("[ab]{0,2}", any::<bool>(), "[ab]{0,2}").prop_map(move |(before, open, after)| {
            let value = if open { format!("<{name}>") } else { String::new() };
            before + &value + &after
        })
    };
    let separator = || select(vec![":", "/", ""]);
    (part('x'), separator(), part('y'), separator(), part('z')).prop_map(|(x, first, y, second, z)| {
        // Without a separator, only one part may have a placeholder.
        let y = if first.is_empty() { y.replace("<y>", "a") } else { y };
        let z = if second.is_empty() { z.replace("<z>", "b") } else { z };
        parse(&format!("a{x}{first}{y}{second}{z}"))
    })
}

/// Whatever the parser accepts of texts that put placeholders next to all kinds of things.
pub(crate) fn accepted_template() -> impl Strategy<Value = Template> {
    let words = select(vec!["<a>", "<b>", "<c>", "-", "x", "9.", ":", "/", "<<"]);
    vec(words, 0..6).prop_filter_map("a mistake", |words| Template::parse(&("k".to_owned() + &words.concat())).ok())
}

#[track_caller]
pub(crate) fn parse(text: &str) -> Template {
    Template::parse(text).unwrap_or_else(|mistakes| panic!("{text:?}: {mistakes:?}"))
}

/// The key of `template` for these texts of its placeholders' values.
pub(crate) fn key(template: &Template, values: &[String]) -> String {
    let text = |piece: &Piece| match piece {
        Piece::Literal(text) => text.clone(),
        Piece::Value(index) => values[*index].clone(),
    };
    template.pieces().iter().map(text).collect()
}

/// The key or group of `pattern` for these texts of its placeholders' values.
pub(crate) fn group(pattern: &Pattern, values: &[String]) -> String {
    let text = |piece: &PatternPiece| match piece {
        PatternPiece::Literal(text) => text.clone(),
        PatternPiece::Value(index) => values[*index].clone(),
        PatternPiece::Any => "*".to_owned(),
    };
    pattern.pieces().iter().map(text).collect()
}

pub(crate) fn is_separator(c: char) -> bool {
    ":/=@|+<".contains(c)
}

/// The type of a value in a key.
#[derive(Debug, Clone)]
pub(crate) enum Shape {
    Text,
    Character,
    Boolean,
    Signed,
    Unsigned,
    Option(Box<Shape>),
    /// A tuple, or a struct with several fields.
    Tuple(Vec<Shape>),
    /// Any number of items, as a handwritten key part may have.
    List(Box<Shape>),
    /// An enum: the fields of each variant.
    Enum(Vec<Vec<Shape>>),
}

/// A value of some shape.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Value {
    Text(String),
    Character(char),
    Boolean(bool),
    Signed(i128),
    Unsigned(u128),
    Option(Option<Box<Value>>),
    Items(Vec<Value>),
    Variant(usize, Vec<Value>),
}

const VARIANTS: [&str; 4] = ["A", "Aa", "Größe", "r#type"];

pub(crate) fn shape() -> impl Strategy<Value = Shape> {
    let leaf = prop_oneof![
        4 => Just(Shape::Text),
        1 => Just(Shape::Character),
        1 => Just(Shape::Boolean),
        1 => Just(Shape::Signed),
        1 => Just(Shape::Unsigned),
    ];
    leaf.prop_recursive(3, 12, 3, |inner| {
        prop_oneof![
            2 => inner.clone().prop_map(|inner| Shape::Option(Box::new(inner))),
            1 => vec(inner.clone(), 0..3).prop_map(Shape::Tuple),
            1 => inner.clone().prop_map(|inner| Shape::List(Box::new(inner))),
            1 => vec(vec(inner, 0..3), 1..=VARIANTS.len()).prop_map(Shape::Enum),
        ]
    })
}

/// Texts that could be taken for something else.
fn text() -> impl Strategy<Value = String> {
    let marks = select(vec![
        "",
        "a",
        "0",
        "-",
        ":",
        "/",
        "<",
        ">",
        "<<",
        "{}",
        "%",
        "%3A",
        "*",
        "!",
        "(",
        ")",
        ",",
        ";",
        "\n",
        "\0",
        "é",
        "\u{10ffff}",
        "true",
    ]);
    prop_oneof![
        4 => vec(marks, 0..3).prop_map(|marks| marks.concat()),
        1 => any::<String>(),
    ]
}

pub(crate) fn value(shape: &Shape) -> BoxedStrategy<Value> {
    let all = |shapes: &[Shape]| shapes.iter().map(value).collect::<Vec<_>>();
    match shape {
        Shape::Text => text().prop_map(Value::Text).boxed(),
        Shape::Character => {
            prop_oneof![any::<char>(), select(vec!['!', ',', 'a', '%'])].prop_map(Value::Character).boxed()
        }
        Shape::Boolean => any::<bool>().prop_map(Value::Boolean).boxed(),
        Shape::Signed => prop_oneof![-1..=1_i128, any::<i128>()].prop_map(Value::Signed).boxed(),
        Shape::Unsigned => prop_oneof![0..=2_u128, any::<u128>()].prop_map(Value::Unsigned).boxed(),
        Shape::Option(inner) => {
            proptest::option::of(value(inner)).prop_map(|inner| Value::Option(inner.map(Box::new))).boxed()
        }
        Shape::Tuple(items) => all(items).prop_map(Value::Items).boxed(),
        Shape::List(item) => vec(value(item), 0..3).prop_map(Value::Items).boxed(),
        Shape::Enum(variants) => {
            let variants: Vec<_> = variants.iter().map(|fields| all(fields)).enumerate().collect();
            select(variants)
                .prop_flat_map(|(index, fields)| fields.prop_map(move |fields| Value::Variant(index, fields)))
                .boxed()
        }
    }
}

/// Every value of `shape` that is made of a few short texts and at most two items, up to a limit.
pub(crate) fn small_values(shape: &Shape) -> Vec<Value> {
    let items = |shapes: &[Shape]| {
        shapes.iter().map(small_values).fold(vec![Vec::new()], |before, next| product(&before, &next))
    };
    let mut values = match shape {
        Shape::Text | Shape::Character => ["", "a", "!", ","].map(|text| Value::Text(text.to_owned())).to_vec(),
        Shape::Boolean => vec![Value::Boolean(false), Value::Boolean(true)],
        Shape::Signed => vec![Value::Signed(-1), Value::Signed(1)],
        Shape::Unsigned => vec![Value::Unsigned(1), Value::Unsigned(11)],
        Shape::Option(inner) => {
            let some = small_values(inner).into_iter().map(|value| Value::Option(Some(Box::new(value))));
            some.chain([Value::Option(None)]).collect()
        }
        Shape::Tuple(shapes) => items(shapes).into_iter().map(Value::Items).collect(),
        Shape::List(item) => {
            let one = small_values(item);
            let ones = product(&[Vec::new()], &one);
            let twos = product(&ones, &one);
            [vec![Vec::new()], ones, twos].concat().into_iter().map(Value::Items).collect()
        }
        Shape::Enum(variants) => {
            let fields = variants.iter().map(|fields| items(fields)).enumerate();
            fields.flat_map(|(index, all)| all.into_iter().map(move |fields| Value::Variant(index, fields))).collect()
        }
    };
    values.truncate(300);
    values
}

fn product(before: &[Vec<Value>], next: &[Value]) -> Vec<Vec<Value>> {
    let pairs = before.iter().flat_map(|before| next.iter().map(move |value| (before, value)));
    pairs.take(300).map(|(before, value)| [&before[..], std::slice::from_ref(value)].concat()).collect()
}

impl Value {
    /// Its text in a key.
    pub(crate) fn text(&self) -> String {
        let mut out = String::new();
        self.write(ValueWriter::new(&mut out));
        out
    }

    fn write(&self, mut out: ValueWriter<'_>) {
        match self {
            Self::Text(value) => out.text(value),
            Self::Character(value) => out.character(*value),
            Self::Boolean(value) => out.boolean(*value),
            Self::Signed(value) => out.signed(*value),
            Self::Unsigned(value) => out.unsigned(*value),
            Self::Option(None) => out.none(),
            Self::Option(Some(value)) => out.some(|out| value.write(out)),
            Self::Items(items) => out.tuple(|out| write_all(items, out)),
            Self::Variant(index, fields) => {
                out.variant(VARIANTS[*index], |out| write_all(fields, out));
            }
        }
    }
}

fn write_all(values: &[Value], out: &mut Items<'_>) {
    for value in values {
        value.write(out.item());
    }
}
