//! What the digest tells apart and what it does not. What it does for each codec: `codec::change_tests`.

use std::collections::{BTreeMap, HashMap, HashSet};

use serde::Serialize;

use crate::schema::walk;

fn digest(value: &impl Serialize) -> u64 {
    walk(value).digest
}

#[track_caller]
fn differ(values: &[(&str, u64)]) {
    for (index, (name, digest)) in values.iter().enumerate() {
        for (other, same) in &values[..index] {
            assert_ne!(digest, same, "{name} and {other} look the same");
        }
    }
}

/// Stored values carry digests, so these never change. Whoever changes one makes every stored value a miss.
#[test]
fn digests_stay_as_they_are() {
    #[derive(Serialize)]
    struct Row<'a> {
        id: u64,
        name: &'a str,
        score: Option<f64>,
        list: Vec<u8>,
    }
    let row = Row { id: 7, name: "Ada", score: Some(0.5), list: vec![1, 2, 3] };
    let map = BTreeMap::from([(1_u8, 'a'), (2, 'b')]);
    assert_eq!(
        [digest(&()), digest(&row), digest(&map)],
        [10_350_346_349_216_588_044, 4_352_467_863_877_545_861, 14_952_422_210_514_612_020]
    );
}

#[test]
fn one_number_of_each_kind() {
    differ(&[
        ("bool", digest(&true)),
        ("i8", digest(&1_i8)),
        ("i16", digest(&1_i16)),
        ("i32", digest(&1_i32)),
        ("i64", digest(&1_i64)),
        ("i128", digest(&1_i128)),
        ("u8", digest(&1_u8)),
        ("u16", digest(&1_u16)),
        ("u32", digest(&1_u32)),
        ("u64", digest(&1_u64)),
        ("u128", digest(&1_u128)),
        ("f32", digest(&1_f32)),
        ("f64", digest(&1_f64)),
        ("char", digest(&'\u{1}')),
        ("text", digest(&"\u{1}")),
        ("some", digest(&Some(1_u8))),
        ("some some", digest(&Some(Some(1_u8)))),
        ("some none", digest(&Some(None::<u8>))),
        ("none", digest(&None::<u8>)),
        ("unit", digest(&())),
        ("sequence", digest(&vec![1_u8])),
        ("sequence of two", digest(&vec![1_u8, 1])),
        ("sequence of none", digest(&Vec::<u8>::new())),
        ("array", digest(&[1_u8])),
        ("map", digest(&BTreeMap::from([(1_u8, 1_u8)]))),
        ("sequence of pairs", digest(&vec![(1_u8, 1_u8)])),
    ]);
}

#[test]
fn neighbours_do_not_run_into_each_other() {
    differ(&[
        ("a bc", digest(&("a", "bc"))),
        ("ab c", digest(&("ab", "c"))),
        ("abc", digest(&("abc", ""))),
        ("(1, 2), 3", digest(&((1_u8, 2_u8), 3_u8))),
        ("1, (2, 3)", digest(&(1_u8, (2_u8, 3_u8)))),
        ("[1, 2], [3]", digest(&(vec![1_u8, 2], vec![3_u8]))),
        ("[1], [2, 3]", digest(&(vec![1_u8], vec![2_u8, 3]))),
        ("[[1, 2], [3]]", digest(&vec![vec![1_u8, 2], vec![3]])),
        ("[[1], [2, 3]]", digest(&vec![vec![1_u8], vec![2, 3]])),
        ("{1: 2, 3: 4}", digest(&BTreeMap::from([(1_u8, 2_u8), (3, 4)]))),
        ("{1: 4, 3: 2}", digest(&BTreeMap::from([(1_u8, 4_u8), (3, 2)]))),
        ("{2: 1, 4: 3}", digest(&BTreeMap::from([(2_u8, 1_u8), (4, 3)]))),
    ]);
}

#[test]
fn the_order_of_maps_and_sets_does_not_count_at_any_depth() {
    let map = || (0..50_u32).map(|n| (n, (0..n).collect::<HashSet<_>>())).collect::<HashMap<_, _>>();
    for _ in 0..10 {
        assert_eq!(digest(&vec![Some(map())]), digest(&vec![Some(map())]));
    }
}

#[test]
fn fields_that_were_left_out_are_told() {
    #[derive(Serialize)]
    struct Sparse {
        #[serde(skip_serializing_if = "Option::is_none")]
        a: Option<u8>,
        b: u8,
    }
    assert!(!walk(&Sparse { a: Some(1), b: 1 }).is_uneven);
    assert!(walk(&vec![Sparse { a: None, b: 1 }]).is_uneven);
    differ(&[("with", digest(&Sparse { a: Some(1), b: 1 })), ("without", digest(&Sparse { a: None, b: 1 }))]);
}

#[test]
fn a_serialize_that_fails_is_told() {
    struct Broken;
    impl Serialize for Broken {
        fn serialize<S: serde::Serializer>(&self, _serializer: S) -> Result<S::Ok, S::Error> {
            Err(serde::ser::Error::custom("broken"))
        }
    }
    assert!(!walk(&vec![Broken]).is_whole);
    assert!(walk(&vec![1]).is_whole);
}
