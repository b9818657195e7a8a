//! RESP3, as far as it is spoken: commands are arrays of strings, replies are what the runtime understands.

/// What a server says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reply {
    /// Nothing.
    Nil,
    /// `OK` and the like.
    Simple(&'static str),
    /// A refusal, with its code first.
    Error(String),
    /// A number.
    Int(i64),
    /// Bytes.
    Bulk(Vec<u8>),
    /// Text of many lines.
    Verbatim(String),
    /// Several replies.
    Array(Vec<Self>),
    /// Pairs.
    Map(Vec<(Self, Self)>),
    /// What nobody has asked for.
    Push(Vec<Self>),
}

impl Reply {
    /// Bytes of this text.
    #[must_use]
    pub fn bulk(text: impl AsRef<[u8]>) -> Self {
        Self::Bulk(text.as_ref().to_vec())
    }

    /// A yes or no, as commands tell it.
    #[must_use]
    pub fn yes(is: bool) -> Self {
        Self::Int(i64::from(is))
    }

    /// How many.
    ///
    /// # Panics
    ///
    /// Never: nothing is that many.
    #[must_use]
    pub fn count(many: usize) -> Self {
        Self::Int(i64::try_from(many).expect("nothing is that many"))
    }

    /// Appends its bytes.
    pub fn write(&self, out: &mut Vec<u8>) {
        match self {
            Self::Nil => out.extend(b"_\r\n"),
            Self::Simple(text) => line(out, b'+', text.as_bytes()),
            Self::Error(text) => line(out, b'-', text.as_bytes()),
            Self::Int(number) => line(out, b':', number.to_string().as_bytes()),
            Self::Bulk(bytes) => string(out, b'$', bytes),
            Self::Verbatim(text) => string(out, b'=', format!("txt:{text}").as_bytes()),
            Self::Array(replies) => many(out, b'*', replies),
            Self::Push(replies) => many(out, b'>', replies),
            Self::Map(pairs) => {
                line(out, b'%', pairs.len().to_string().as_bytes());
                for (key, value) in pairs {
                    key.write(out);
                    value.write(out);
                }
            }
        }
    }
}

fn line(out: &mut Vec<u8>, kind: u8, text: &[u8]) {
    out.push(kind);
    out.extend(text);
    out.extend(b"\r\n");
}

fn string(out: &mut Vec<u8>, kind: u8, bytes: &[u8]) {
    line(out, kind, bytes.len().to_string().as_bytes());
    out.extend(bytes);
    out.extend(b"\r\n");
}

fn many(out: &mut Vec<u8>, kind: u8, replies: &[Reply]) {
    line(out, kind, replies.len().to_string().as_bytes());
    for reply in replies {
        reply.write(out);
    }
}

/// The first command in these bytes, and how many of them it takes; nothing if it is not whole.
///
/// # Panics
///
/// If it is no command.
#[must_use]
pub fn parse(bytes: &[u8]) -> Option<(Vec<Vec<u8>>, usize)> {
    let (count, mut at) = header(bytes, 0, b'*')?;
    let mut words = Vec::with_capacity(count);
    for _ in 0..count {
        let (length, start) = header(bytes, at, b'$')?;
        words.push(bytes.get(start..start + length)?.to_vec());
        at = start + length + 2;
    }
    (at <= bytes.len()).then_some((words, at))
}

fn header(bytes: &[u8], at: usize, kind: u8) -> Option<(usize, usize)> {
    let rest = bytes.get(at..)?;
    let end = rest.iter().position(|byte| *byte == b'\n')?;
    assert_eq!(rest[0], kind, "a command is an array of strings");
    let number = str::from_utf8(&rest[1..end - 1]).ok().and_then(|text| text.parse().ok());
    Some((number.expect("a length is a number"), at + end + 1))
}
