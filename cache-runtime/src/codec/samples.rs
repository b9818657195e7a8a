//! Types that the tests of this module send through the codecs.

use std::any::type_name;
use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::codec::Coder;
use crate::shape::{Absence, AsArc, Behind, Keeping, Kept, Optional, Present, Value};

/// A coder, made as `shape!` makes them.
pub(super) fn coder<T: Value>() -> Coder {
    Coder::of::<T, Present, Behind>()
}

pub(super) fn coder_of_option<T: Value>() -> Coder {
    Coder::of::<Option<T>, Optional, Behind>()
}

pub(super) fn coder_of_arc<T: Value>() -> Coder
where
    AsArc: Keeping<Arc<T>>,
    Present: Absence<Arc<T>>,
    Arc<T>: Value,
{
    Coder::of::<Arc<T>, Present, AsArc>()
}

/// A value with its coder and a way to see whether another one is equal to it.
pub(super) struct Sample {
    pub(super) name: &'static str,
    pub(super) kept: Kept,
    pub(super) coder: Coder,
    pub(super) is_equal: Box<dyn Fn(&Kept) -> bool>,
}

impl Sample {
    pub(super) fn of<T: Value + PartialEq>(value: T) -> Self {
        let own = value.clone();
        Self {
            name: type_name::<T>(),
            kept: Arc::new(value),
            coder: coder::<T>(),
            is_equal: Box::new(move |kept| kept.downcast_ref::<T>() == Some(&own)),
        }
    }
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct User {
    pub(super) id: u64,
    pub(super) tenant: u64,
    pub(super) name: String,
    pub(super) mail: Option<String>,
    pub(super) is_active: bool,
    pub(super) score: f64,
    pub(super) logins: u32,
    pub(super) created: i64,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) enum Tree {
    Leaf,
    Number(i64),
    Pair(Box<Tree>, Box<Tree>),
    Named { name: String, below: Vec<Tree> },
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub(super) struct Unit;

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Wide(pub(super) u128, pub(super) i128, pub(super) char, pub(super) [u16; 3]);

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Nested {
    pub(super) users: Vec<User>,
    pub(super) by_name: HashMap<String, Vec<Option<u8>>>,
    pub(super) tags: HashSet<(u8, String)>,
    pub(super) sorted: BTreeMap<u32, (Unit, i8)>,
    pub(super) tree: Tree,
}

pub(super) fn user() -> User {
    User {
        id: 7,
        tenant: 42,
        name: "Ada Lovelace".to_owned(),
        mail: Some("ada@example.org".to_owned()),
        is_active: true,
        score: 0.1 + 0.2,
        logins: 70_000,
        created: -1_700_000_000,
    }
}

pub(super) fn tree() -> Tree {
    let pair = Tree::Pair(Box::new(Tree::Number(-3)), Box::new(Tree::Leaf));
    Tree::Named { name: "root".to_owned(), below: vec![pair, Tree::Leaf, Tree::Number(i64::MAX)] }
}

pub(super) fn nested() -> Nested {
    Nested {
        users: vec![user(), User { mail: None, ..user() }],
        by_name: (0..6).map(|n| (format!("key {n}"), vec![Some(n), None])).collect(),
        tags: (0..6).map(|n| (n, "tag".repeat(n.into()))).collect(),
        sorted: (0..4).map(|n| (n, (Unit, -1))).collect(),
        tree: tree(),
    }
}

/// What every codec carries.
pub(super) fn samples() -> Vec<Sample> {
    vec![
        Sample::of(user()),
        Sample::of(tree()),
        Sample::of(nested()),
        Sample::of(Wide(u64::MAX.into(), i64::MIN.into(), '\u{1F980}', [1, 2, u16::MAX])),
        Sample::of("text".repeat(20)),
        Sample::of(vec![0_u8, 1, 255, 17]),
        Sample::of((0..40).map(|n| n * n).collect::<Vec<u64>>()),
        Sample::of(Some(7_u8)),
        Sample::of(None::<String>),
        Sample::of(()),
        Sample::of(u64::MAX),
        Sample::of((1_u8, -2_i16, 3.5_f32, "four".to_owned())),
    ]
}
