use proptest::prelude::*;

use super::*;

/// One of every kind, nested and empty, and how long it is.
const REPLIES: &[&[u8]] = &[
    b"+OK\r\n",
    b"+\r\n",
    b"-ERR no\r\n",
    b":-12\r\n",
    b":-1\r\n",
    b":0\r\n",
    b":1234567890123456789\r\n",
    b"_\r\n",
    b"#t\r\n",
    b",1.5\r\n",
    b"(12345678901234567890\r\n",
    b"$0\r\n\r\n",
    b"$-1\r\n",
    b"$5\r\na\r\nbc\r\n",
    b"=7\r\ntxt:abc\r\n",
    b"!5\r\nERR a\r\n",
    b"*0\r\n",
    b"*-1\r\n",
    b"*3\r\n:1\r\n:0\r\n:42\r\n",
    b"*4\r\n:-1\r\n$1\r\na\r\n$-1\r\n_\r\n",
    b"*2\r\n:1\r\n+OK\r\n",
    b"*2\r\n*1\r\n$1\r\na\r\n%1\r\n+a\r\n_\r\n",
    b"~2\r\n:1\r\n:2\r\n",
    b"%0\r\n",
    b"%2\r\n+a\r\n*0\r\n+b\r\n*1\r\n_\r\n",
    b">2\r\n+message\r\n$1\r\nx\r\n",
    b"|1\r\n+ttl\r\n:3600\r\n*1\r\n+a\r\n",
    b"*1\r\n|1\r\n+a\r\n+b\r\n:1\r\n",
];

#[test]
fn a_reply_ends_where_it_ends_and_not_before() {
    for reply in REPLIES {
        let shown = String::from_utf8_lossy(reply);
        let with_more = [*reply, b"+more\r\n"].concat();
        assert_eq!(Frames::new().next(&with_more), Ok(Some(reply.len())), "{shown}");
        for length in 0..reply.len() {
            assert_eq!(Frames::new().next(&reply[..length]), Ok(None), "{length} bytes of {shown}");
        }
    }
}

#[test]
fn what_is_no_reply_is_told_as_soon_as_it_can_be() {
    let long = [b"+".as_slice(), &b"a".repeat(LONGEST_LINE)].concat();
    let cases: [&[u8]; 18] = [
        b"\r\n",
        b"a",
        b"OK\r\n",
        b"$x",
        b"$\r\n",
        b"$-2\r\n",
        b"$--1\r\n",
        b"$1 \r\n",
        b"$1\rx",
        b"$1\r\naxx",
        b"$1\r\nabc\r\n",
        b"$9999999999\r\n",
        b"*1234567890123",
        b"*999999999999\r\n",
        b"*2\r\n:1\r\nx",
        b":1\n",
        b"_\n",
        &long,
    ];
    for bytes in cases {
        assert_eq!(Frames::new().next(bytes), Err(Malformed), "{:?}", String::from_utf8_lossy(bytes));
    }
}

#[test]
fn lists_of_strings_are_read_as_they_are_and_nothing_else_is() {
    let frame = Bytes::from_static(b"*5\r\n$1\r\na\r\n$-1\r\n_\r\n$0\r\n\r\n$4\r\n\r\n\r\n\r\n");
    let expected = [Some("a"), None, None, Some(""), Some("\r\n\r\n")];
    let found = strings(&frame, |string| string).expect("strings");
    assert_eq!(found, expected.map(|text| text.map(Bytes::from)));
    assert_eq!(strings(&Bytes::from_static(b"*0\r\n"), |string| string), Some(Vec::new()));
    for other in
        ["*1\r\n:1\r\n", "*1\r\n-ERR a\r\n", "*-1\r\n", "~1\r\n+a\r\n", "-ERR a\r\n", "+OK\r\n", "$1\r\na\r\n", ""]
    {
        assert_eq!(strings(&Bytes::from(other), |string| string), None, "{other}");
    }
}

#[test]
fn values_are_those_that_the_client_reads() {
    for reply in REPLIES {
        let expected = redis::parse_redis_value(reply).expect("a reply");
        assert_eq!(value(reply).expect("a reply"), expected, "{}", String::from_utf8_lossy(reply));
    }
    let all = REPLIES.concat();
    let expected: Vec<Value> = REPLIES.iter().map(|reply| redis::parse_redis_value(reply).expect("a reply")).collect();
    assert_eq!(values(&all, REPLIES.len()).expect("replies"), expected);
    assert!(values(b":1\r\n", 2).is_err());
}

proptest! {
    #[test]
    fn replies_are_found_in_whatever_pieces_they_come(
        picks in prop::collection::vec(prop::sample::select(REPLIES), 1..12),
        step in 1_usize..40,
    ) {
        let bytes = picks.concat();
        let (mut frames, mut begin, mut found) = (Frames::new(), 0, Vec::new());
        for end in (step..bytes.len()).step_by(step).chain([bytes.len()]) {
            while let Some(length) = frames.next(&bytes[begin..end]).expect("replies") {
                found.push(&bytes[begin..begin + length]);
                begin += length;
            }
        }
        prop_assert_eq!(found, picks);
    }

    #[test]
    fn any_bytes_are_a_reply_or_told_to_be_none(
        bytes in prop::collection::vec(prop::sample::select(b"$*%|~>+-:_=!#\r\n0129a".as_slice()), 0..80),
    ) {
        if let Ok(Some(length)) = Frames::new().next(&bytes) {
            prop_assert!(length <= bytes.len());
            let frame = Bytes::from(bytes).slice(..length);
            _ = (strings(&frame, |string| string), value(&frame));
        }
    }
}
