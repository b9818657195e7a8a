//! How a child tells its parent: frames of whole words.

use std::io::{self, Read as _, Write};

use super::log::Counts;
use crate::history::{How, Invalidation, Nanos, Reach, Read, Record, Source};

/// Words of a record.
const WORDS: usize = 7;

/// A piece of a child's log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Frame {
    /// Up to when all invalidations are told.
    pub(crate) told: Nanos,
    /// Since the child began.
    pub(crate) counts: Counts,
    pub(crate) records: Vec<Record>,
}

impl Frame {
    pub(crate) fn write(&self, out: &mut impl Write) -> io::Result<()> {
        let head = [self.records.len() as u64, self.told].into_iter().chain(self.counts.words());
        let words = head.chain(self.records.iter().flat_map(words_of));
        let bytes: Vec<u8> = words.flat_map(u64::to_le_bytes).collect();
        out.write_all(&bytes)?;
        out.flush()
    }

    /// The next frame; an error at the end, be it in the middle of a frame: its child was killed.
    pub(crate) fn read(input: &mut impl io::Read) -> io::Result<Self> {
        let mut input = Words { input, buffer: Vec::new() };
        let (records, told) = (input.word()?, input.word()?);
        let counts = Counts::read(|| input.word())?;
        let records = usize::try_from(records).map_err(io::Error::other)?;
        let words = input.words(records * WORDS)?;
        Ok(Self { told, counts, records: words.as_chunks().0.iter().map(record_of).collect() })
    }
}

struct Words<'a, R> {
    input: &'a mut R,
    buffer: Vec<u8>,
}

impl<R: io::Read> Words<'_, R> {
    fn word(&mut self) -> io::Result<u64> {
        let mut bytes = [0; 8];
        self.input.read_exact(&mut bytes)?;
        Ok(u64::from_le_bytes(bytes))
    }

    fn words(&mut self, count: usize) -> io::Result<Vec<u64>> {
        self.buffer.clear();
        let length = u64::try_from(count * 8).map_err(io::Error::other)?;
        self.input.by_ref().take(length).read_to_end(&mut self.buffer)?;
        if self.buffer.len() < count * 8 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        Ok(self.buffer.as_chunks().0.iter().map(|bytes| u64::from_le_bytes(*bytes)).collect())
    }
}

const READ: u64 = 0;
const STRICT_READ: u64 = 1;
const INVALIDATION: u64 = 2;

const SOURCES: [Source; 6] =
    [Source::Unknown, Source::Near, Source::Second, Source::Load, Source::Joined, Source::Bypass];
const REACHES: [Reach; 3] = [Reach::Queued, Reach::Applied, Reach::Everywhere];
const HOWS: [How; 4] = [How::Event, How::Group, How::Entry, How::Put];

fn words_of(record: &Record) -> [u64; WORDS] {
    match record {
        Record::Read(read) => {
            let kind = if read.strict { STRICT_READ } else { READ };
            let head = kind | (read.source as u64) << 8 | u64::from(read.key) << 32;
            let loaded = (u64::from(read.loaded_by), read.loaded_at);
            [head, read.version, read.began, read.ended, read.token, loaded.0, loaded.1]
        }
        Record::Invalidation(one) => {
            let how = (one.reach as u64) << 8 | (one.how as u64) << 16;
            [INVALIDATION | how | u64::from(one.key) << 32, one.version, one.began, one.returned, 0, 0, 0]
        }
    }
}

fn record_of(words: &[u64; WORDS]) -> Record {
    let [head, version, began, ended, token, loaded_by, loaded_at] = *words;
    let byte = |number: u32| usize::from((head >> (8 * number)).to_le_bytes()[0]);
    let key = u32::try_from(head >> 32).expect("the upper half of a word");
    if head & 0xff == INVALIDATION {
        let (reach, how) = (REACHES[byte(1)], HOWS[byte(2)]);
        return Record::Invalidation(Invalidation { key, version, began, returned: ended, reach, how });
    }
    Record::Read(Read {
        key,
        version,
        began,
        ended,
        strict: head & 0xff == STRICT_READ,
        token,
        source: SOURCES[byte(1)],
        loaded_by: u32::try_from(loaded_by).expect("a process number was written"),
        loaded_at,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read() {
        let mut records = Vec::new();
        for (number, source) in (1..).zip(SOURCES) {
            let read = Read {
                key: u32::MAX - number,
                version: 1 << 50,
                began: 3,
                ended: 4,
                strict: number % 2 == 0,
                token: 5,
                source,
                loaded_by: number,
                loaded_at: 6,
            };
            records.push(Record::Read(read));
        }
        for (reach, how) in REACHES.into_iter().cycle().zip(HOWS) {
            records.push(Record::Invalidation(Invalidation { key: 9, version: 2, began: 3, returned: 4, reach, how }));
        }
        let frame = Frame { told: 77, counts: Counts::default(), records };
        let mut bytes = Vec::new();
        frame.write(&mut bytes).expect("a vector takes all");
        frame.write(&mut bytes).expect("a vector takes all");
        let mut input = &bytes[..bytes.len() - 1];
        assert_eq!(Frame::read(&mut input).expect("it is whole"), frame);
        assert!(Frame::read(&mut input).is_err(), "it is cut");
    }
}
