//! The form of a key in the in-process tier.

use std::hash::{Hash, Hasher};

use crate::key::{KeyWriter, Parts};

/// The bytes of a key while they are few: in registers, when every part's width is known to the compiler.
#[derive(Debug)]
pub(super) struct ShortKey {
    length: usize,
    bits: u128,
}

impl ShortKey {
    #[inline(always)]
    #[expect(clippy::cast_possible_truncation, reason = "not longer than `SHORT`")]
    pub(super) fn push_slice(&mut self, bytes: &[u8]) {
        if self.length + bytes.len() <= SHORT {
            let mut wide = [0; SHORT];
            wide[..bytes.len()].copy_from_slice(bytes);
            // Nothing is lost in a shift by all 128 bits: then there are no bytes.
            self.bits |= u128::from_le_bytes(wide).unbounded_shl(8 * self.length as u32);
        }
        self.length += bytes.len();
    }

    #[inline(always)]
    pub(super) fn push_text(&mut self, text: &[u8]) {
        match u8::try_from(text.len()) {
            Ok(length) if text.len() < SHORT => {
                self.push_slice(&[length]);
                self.push_slice(text);
            }
            _ => self.length = SHORT + 1,
        }
    }
}

impl ShortKey {
    /// The bytes of these values, if they are few: length and words.
    #[inline(always)]
    pub(super) fn of(values: &impl Parts) -> Option<(u8, [u64; 2])> {
        let mut short = Self { length: 0, bits: 0 };
        values.write_all(&mut KeyWriter::short(&mut short));
        if short.length > SHORT {
            return None;
        }
        #[expect(clippy::cast_possible_truncation, reason = "both halves are kept, and the length is at most `SHORT`")]
        Some((short.length as u8, [short.bits as u64, (short.bits >> 64) as u64]))
    }
}

/// The bytes of a key, however many.
#[derive(Debug)]
pub(crate) struct KeyBytes {
    /// As long as they are not more than this.
    stack: [u8; Self::STACK],
    length: usize,
    /// All of them, when the stack holds no more.
    heap: Vec<u8>,
}

impl KeyBytes {
    const STACK: usize = 64;

    fn new() -> Self {
        Self { stack: [0; Self::STACK], length: 0, heap: Vec::new() }
    }

    /// The bytes of these values.
    fn of(values: &dyn Parts) -> Self {
        let mut bytes = Self::new();
        values.write_all(&mut KeyWriter::bytes(&mut bytes));
        bytes
    }

    pub(super) fn extend(&mut self, more: &[u8]) {
        let end = self.length + more.len();
        match self.stack.get_mut(self.length..end) {
            Some(space) => space.copy_from_slice(more),
            None => self.spill(more),
        }
        self.length = end;
    }

    #[cold]
    fn spill(&mut self, more: &[u8]) {
        if self.heap.is_empty() {
            self.heap.extend_from_slice(&self.stack[..self.length]);
        }
        self.heap.extend_from_slice(more);
    }

    /// Lengths stand before text, so that no text can pretend to be the next part.
    pub(super) fn length(&mut self, length: usize) {
        match u8::try_from(length) {
            Ok(short) if short < u8::MAX => self.extend(&[short]),
            _ => {
                self.extend(&[u8::MAX]);
                self.extend(&(length as u64).to_le_bytes());
            }
        }
    }

    fn as_slice(&self) -> &[u8] {
        if self.length > Self::STACK { &self.heap } else { &self.stack[..self.length] }
    }
}

/// As many bytes as stand in a key without an allocation: two integers, a UUID, a short word.
const SHORT: usize = 16;

/// The key of an entry. Short keys are filled with zeros; the length tells them from keys that end in zeros.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Key {
    Short { function: u32, length: u8, words: [u64; 2] },
    Long { function: u32, bytes: Box<[u8]> },
}

/// A borrowed [`Key`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Probe<'a> {
    Short { function: u32, length: u8, words: [u64; 2] },
    Long { function: u32, bytes: &'a [u8] },
}

/// The key of these values in registers, if they are few.
#[inline(always)]
pub(crate) fn short_key(values: &impl Parts) -> Option<(u8, [u64; 2])> {
    ShortKey::of(values)
}

/// Looks at the key of many bytes, allocated for only beyond what the stack holds.
pub(crate) fn with_long_key<R>(function: u32, values: &dyn Parts, look: impl FnOnce(&Probe<'_>) -> R) -> R {
    look(&Probe::Long { function, bytes: KeyBytes::of(values).as_slice() })
}

impl Key {
    /// The key of these values, of the function with this number.
    pub(crate) fn of(function: u32, values: &dyn Parts) -> Self {
        let bytes = KeyBytes::of(values);
        match bytes.as_slice() {
            short if short.len() <= SHORT => {
                let mut wide = [0; SHORT];
                wide[..short.len()].copy_from_slice(short);
                let bits = u128::from_le_bytes(wide);
                #[expect(clippy::cast_possible_truncation, reason = "both halves are kept; not longer than `SHORT`")]
                let (length, words) = (short.len() as u8, [bits as u64, (bits >> 64) as u64]);
                Self::Short { function, length, words }
            }
            long => Self::Long { function, bytes: long.into() },
        }
    }

    /// This key, to look an entry up.
    #[inline(always)]
    pub(crate) fn probe(&self) -> Probe<'_> {
        match self {
            Self::Short { function, length, words } => {
                Probe::Short { function: *function, length: *length, words: *words }
            }
            Self::Long { function, bytes } => Probe::Long { function: *function, bytes },
        }
    }

    /// Bytes outside the key itself.
    pub(crate) fn heap_bytes(&self) -> usize {
        match self {
            Self::Short { .. } => 0,
            Self::Long { bytes, .. } => bytes.len(),
        }
    }
}

impl Hash for Key {
    #[inline(always)]
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.probe().hash(state);
    }
}

impl Hash for Probe<'_> {
    #[inline(always)]
    fn hash<H: Hasher>(&self, state: &mut H) {
        match self {
            Self::Short { function, length, words } => {
                state.write_u64(u64::from(*function) << 8 | u64::from(*length));
                state.write_u64(words[0]);
                state.write_u64(words[1]);
            }
            Self::Long { function, bytes } => {
                state.write_u32(*function);
                state.write(bytes);
            }
        }
    }
}

impl quick_cache::Equivalent<Key> for Probe<'_> {
    #[inline(always)]
    fn equivalent(&self, key: &Key) -> bool {
        *self == key.probe()
    }
}
