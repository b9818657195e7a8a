//! The form of a key in the in-process tier.

use std::hash::{Hash, Hasher};

use crate::key::{KeyPart, KeyWriter, Parts};

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

/// The bytes of a key, however many.
#[derive(Debug)]
pub(crate) struct KeyBytes {
    function: u32,
    short: ShortKey,
    /// On the stack, when they are more than a short key holds, and not more than this.
    stack: [u8; Self::STACK],
    length: usize,
    /// All of them, when the stack holds no more.
    heap: Vec<u8>,
}

impl KeyBytes {
    const STACK: usize = 64;

    /// The bytes of these values, for the function with this number.
    #[inline(always)]
    pub(crate) fn new(function: u32, values: &impl Parts) -> Self {
        let mut short = ShortKey { length: 0, bits: 0 };
        values.write_all(&mut KeyWriter::short(&mut short));
        let mut bytes = Self { function, short, stack: [0; Self::STACK], length: 0, heap: Vec::new() };
        if bytes.short.length > SHORT {
            bytes.write_long(values);
        }
        bytes
    }

    #[inline(never)]
    fn write_long(&mut self, values: &dyn Parts) {
        values.write_all(&mut KeyWriter::bytes(self));
    }

    /// A digest of all the bytes of one part.
    pub(super) fn digest_of(part: &(impl KeyPart + ?Sized)) -> [u8; 32] {
        let mut bytes = Self::new(0, &());
        part.write(&mut KeyWriter::bytes(&mut bytes));
        blake3::hash(bytes.as_slice()).into()
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

    /// This key, to look an entry up without an allocation.
    #[inline(always)]
    pub(crate) fn probe(&self) -> Probe<'_> {
        let function = self.function;
        if self.short.length > SHORT {
            return Probe::Long { function, bytes: self.as_slice() };
        }
        #[expect(clippy::cast_possible_truncation, reason = "both halves are kept, and the length is at most `SHORT`")]
        let (length, words) = (self.short.length as u8, [self.short.bits as u64, (self.short.bits >> 64) as u64]);
        Probe::Short { function, length, words }
    }

    /// This key, to keep.
    pub(crate) fn to_key(&self) -> Key {
        match self.probe() {
            Probe::Short { function, length, words } => Key::Short { function, length, words },
            Probe::Long { function, bytes } => Key::Long { function, bytes: bytes.into() },
        }
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

impl Key {
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
