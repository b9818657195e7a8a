//! The name that a client of Redis gives itself, read from the first bytes that it sends.

/// What follows the word in `CLIENT SETNAME <name>` and in `HELLO 3 .. SETNAME <name>`.
const WORD: &[u8] = b"SETNAME\r\n$";

/// The name, once all of it is there.
pub(super) fn find(bytes: &[u8]) -> Option<String> {
    let word = bytes.windows(WORD.len()).position(|window| window.eq_ignore_ascii_case(WORD))?;
    let (length, rest) = split_line(&bytes[word + WORD.len()..])?;
    let length: usize = std::str::from_utf8(length).ok()?.parse().ok()?;
    let name = rest.get(..length)?;
    Some(String::from_utf8_lossy(name).into_owned())
}

fn split_line(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let end = bytes.windows(2).position(|window| window == b"\r\n")?;
    Some((&bytes[..end], &bytes[end + 2..]))
}

#[cfg(test)]
mod tests {
    use super::find;

    #[track_caller]
    fn check(bytes: &str, name: Option<&str>) {
        assert_eq!(find(bytes.as_bytes()).as_deref(), name);
    }

    #[test]
    fn both_ways_to_give_a_name_are_known() {
        check("*3\r\n$6\r\nCLIENT\r\n$7\r\nSETNAME\r\n$8\r\nshop:bus\r\n", Some("shop:bus"));
        check("*4\r\n$5\r\nhello\r\n$1\r\n3\r\n$7\r\nsetname\r\n$4\r\nshop\r\n", Some("shop"));
    }

    #[test]
    fn a_name_that_is_not_all_there_is_none_yet() {
        check("*1\r\n$4\r\nPING\r\n", None);
        check("*3\r\n$6\r\nCLIENT\r\n$7\r\nSETNAME\r\n", None);
        check("*3\r\n$6\r\nCLIENT\r\n$7\r\nSETNAME\r\n$8", None);
        check("*3\r\n$6\r\nCLIENT\r\n$7\r\nSETNAME\r\n$8\r\nshop", None);
        check("SETNAME\r\n$many\r\nshop", None);
    }
}
