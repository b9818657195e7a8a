//! Keys: what tells one call of a cached function from another.
//!
//! A key has two forms, both written by [`KeyPart::write`], so that they cannot disagree. The *bytes* are for the
//! in-process tier: fixed-width numbers and length-prefixed text behind the function's number, made on the stack on
//! every call. The *text* is for people, for events and for other processes: the template with percent-encoded values,
//! made on a miss. Distinct arguments give distinct forms, whatever they hold.

use std::fmt;
use std::hash::{Hash, Hasher};

use cache_spec::value::{Items, ValueWriter};

/// A value that may stand in a key: integers, `bool`, `char`, text, `Option` and tuples of them, references, and
/// whatever derives it. Never floats: `NaN` and `-0.0` have no one place in a key.
///
/// # Examples
///
/// ```
/// use cache_runtime::KeyPart;
///
/// #[derive(KeyPart)]
/// struct TenantId(u64);
///
/// #[derive(KeyPart)]
/// enum Currency {
///     Euro,
///     Other(String),
/// }
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot stand in a cache key",
    label = "not a `KeyPart`",
    note = "keys take integers, `bool`, `char`, text, and `Option`s and tuples of them; never floats, since `NaN` and `-0.0` have no one place in a key",
    note = "a newtype or an enum of your own: add `#[derive(cache_runtime::KeyPart)]`; an argument that is no part of the identity: `#[cache(skip)]`"
)]
pub trait KeyPart {
    /// The type under which an argument and an event's field are compared: `str` for all kinds of text, the type itself
    /// without its references otherwise.
    type Canonical: ?Sized;

    /// Writes this value. Two values that differ must write something different.
    fn write(&self, key: &mut KeyWriter<'_>);
}

/// Where a [`KeyPart`] writes itself.
pub struct KeyWriter<'a> {
    form: Form<'a>,
}

enum Form<'a> {
    /// The bytes, as long as they are few.
    Short(&'a mut ShortKey),
    /// The bytes.
    Bytes(&'a mut KeyBytes),
    /// One value of the text.
    Text(ValueWriter<'a>, &'a HashKey),
    /// The items of a tuple or variant in the text.
    Items(&'a mut dyn ItemSource, &'a HashKey),
}

/// Hides the lifetime inside [`Items`].
trait ItemSource {
    fn next(&mut self) -> ValueWriter<'_>;
}

impl ItemSource for Items<'_> {
    fn next(&mut self) -> ValueWriter<'_> {
        self.item()
    }
}

/// The secret under which `<arg:hash>` parts are hashed.
pub(crate) type HashKey = [u8; 32];

macro_rules! write_number {
    ($($name:ident($type:ty) $text:ident),+) => {$(
        #[doc = concat!("Writes a `", stringify!($type), "`.")]
        #[inline(always)]
        pub fn $name(&mut self, number: $type) {
            match &mut self.form {
                Form::Short(short) => short.push_slice(&number.to_le_bytes()),
                Form::Bytes(bytes) => bytes.extend(&number.to_le_bytes()),
                _ => self.as_text(|text, _| text.$text(number.into())),
            }
        }
    )+};
}

impl<'a> KeyWriter<'a> {
    #[inline(always)]
    fn short(short: &'a mut ShortKey) -> Self {
        Self { form: Form::Short(short) }
    }

    #[inline(always)]
    fn bytes(bytes: &'a mut KeyBytes) -> Self {
        Self { form: Form::Bytes(bytes) }
    }

    pub(crate) fn text(out: &'a mut String, hash_key: &'a HashKey) -> Self {
        Self { form: Form::Text(ValueWriter::new(out), hash_key) }
    }

    write_number!(u8(u8) unsigned, u16(u16) unsigned, u32(u32) unsigned, u64(u64) unsigned, u128(u128) unsigned);
    write_number!(i8(i8) signed, i16(i16) signed, i32(i32) signed, i64(i64) signed, i128(i128) signed);

    /// Writes a `bool`.
    #[inline(always)]
    pub fn bool(&mut self, value: bool) {
        match &mut self.form {
            Form::Short(short) => short.push_slice(&[u8::from(value)]),
            Form::Bytes(bytes) => bytes.extend(&[u8::from(value)]),
            _ => self.as_text(|text, _| text.boolean(value)),
        }
    }

    /// Writes a `char`.
    #[inline(always)]
    pub fn char(&mut self, value: char) {
        match &mut self.form {
            Form::Short(short) => short.push_slice(&u32::from(value).to_le_bytes()),
            Form::Bytes(bytes) => bytes.extend(&u32::from(value).to_le_bytes()),
            _ => self.as_text(|text, _| text.character(value)),
        }
    }

    /// Writes 16 bytes whose text is `text`.
    #[cfg(feature = "uuid")]
    pub(crate) fn fixed(&mut self, bytes: &[u8; 16], text: &str) {
        match &mut self.form {
            Form::Short(short) => short.push_slice(bytes),
            Form::Bytes(all) => all.extend(bytes),
            _ => self.str(text),
        }
    }

    /// Writes text, whatever it holds.
    #[inline(always)]
    pub fn str(&mut self, value: &str) {
        match &mut self.form {
            Form::Short(short) => short.push_text(value.as_bytes()),
            Form::Bytes(bytes) => {
                bytes.length(value.len());
                bytes.extend(value.as_bytes());
            }
            _ => self.as_text(|text, _| text.text(value)),
        }
    }

    /// Writes an optional value; `Some(None)` differs from `None`.
    #[inline(always)]
    pub fn option<T: KeyPart>(&mut self, value: Option<&T>) {
        match (&mut self.form, value) {
            (Form::Short(short), None) => short.push_slice(&[0]),
            (Form::Bytes(bytes), None) => bytes.extend(&[0]),
            (Form::Short(short), Some(value)) => {
                short.push_slice(&[1]);
                value.write(self);
            }
            (Form::Bytes(bytes), Some(value)) => {
                bytes.extend(&[1]);
                value.write(self);
            }
            (_, None) => self.as_text(|text, _| text.none()),
            (_, Some(value)) => self.as_text(|text, hash_key| {
                text.some(|text| value.write(&mut KeyWriter { form: Form::Text(text, hash_key) }));
            }),
        }
    }

    /// Writes several values as one: each with [`KeyWriter::item`] inside `items`.
    #[inline(always)]
    pub fn tuple(&mut self, items: impl FnOnce(&mut KeyWriter<'_>)) {
        match &mut self.form {
            Form::Short(_) | Form::Bytes(_) => items(self),
            _ => self.as_text(|text, hash_key| {
                text.tuple(|inner| items(&mut KeyWriter { form: Form::Items(inner, hash_key) }));
            }),
        }
    }

    /// Writes one value inside [`KeyWriter::tuple`] or [`KeyWriter::variant`].
    #[inline(always)]
    pub fn item<T: KeyPart + ?Sized>(&mut self, value: &T) {
        match &mut self.form {
            Form::Short(_) | Form::Bytes(_) | Form::Text(..) => value.write(self),
            Form::Items(items, hash_key) => value.write(&mut KeyWriter { form: Form::Text(items.next(), hash_key) }),
        }
    }

    /// Writes one variant of an enum, by its place and name, and its fields with [`KeyWriter::item`] inside `fields`.
    #[inline(always)]
    pub fn variant(&mut self, place: u32, name: &str, fields: impl FnOnce(&mut KeyWriter<'_>)) {
        match &mut self.form {
            Form::Short(short) => {
                short.push_slice(&place.to_le_bytes());
                fields(self);
            }
            Form::Bytes(bytes) => {
                bytes.extend(&place.to_le_bytes());
                fields(self);
            }
            _ => self.as_text(|text, hash_key| {
                text.variant(name, |inner| fields(&mut KeyWriter { form: Form::Items(inner, hash_key) }));
            }),
        }
    }

    fn as_text(&mut self, write: impl FnOnce(&mut ValueWriter<'_>, &HashKey)) {
        match &mut self.form {
            Form::Short(_) | Form::Bytes(_) => {}
            Form::Text(text, hash_key) => write(text, hash_key),
            Form::Items(items, hash_key) => write(&mut items.next(), hash_key),
        }
    }
}

impl fmt::Debug for KeyWriter<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KeyWriter").finish_non_exhaustive()
    }
}

/// A part of which the text shows a keyed hash only: long or private.
#[derive(Clone, Copy, Debug)]
pub struct Hashed<'a, T: ?Sized>(pub &'a T);

impl<T: KeyPart + ?Sized> KeyPart for Hashed<'_, T> {
    type Canonical = T::Canonical;

    #[inline(always)]
    fn write(&self, key: &mut KeyWriter<'_>) {
        match &mut key.form {
            Form::Short(_) | Form::Bytes(_) => self.0.write(key),
            _ => key.as_text(|text, hash_key| {
                let mut bytes = KeyBytes::empty();
                self.0.write(&mut KeyWriter::bytes(&mut bytes));
                // 128 bits: no two values of one key meet before 2^64 of them.
                let digest = blake3::keyed_hash(hash_key, bytes.as_slice()).to_hex();
                text.text(&digest[..32]);
            }),
        }
    }
}

/// The bytes of a key while they are few: in registers, when every part's width is known to the compiler.
#[derive(Debug)]
struct ShortKey {
    length: usize,
    bits: u128,
}

impl ShortKey {
    #[inline(always)]
    #[expect(clippy::cast_possible_truncation, reason = "not longer than `SHORT`")]
    fn push_slice(&mut self, bytes: &[u8]) {
        if self.length + bytes.len() <= SHORT {
            let mut wide = [0; SHORT];
            wide[..bytes.len()].copy_from_slice(bytes);
            // Nothing is lost in a shift by all 128 bits: then there are no bytes.
            self.bits |= u128::from_le_bytes(wide).unbounded_shl(8 * self.length as u32);
        }
        self.length += bytes.len();
    }

    #[inline(always)]
    fn push_text(&mut self, text: &[u8]) {
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

    /// No bytes, of no function.
    fn empty() -> Self {
        Self::new(0, &())
    }

    fn extend(&mut self, more: &[u8]) {
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
    fn length(&mut self, length: usize) {
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

/// One piece of a key template.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Piece {
    /// Text as it stands.
    Literal(&'static str),
    /// The value of the placeholder with this number.
    Value(usize),
}

/// One piece of a group pattern.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PatternPiece {
    /// Text as it stands.
    Literal(&'static str),
    /// The value of the pattern's placeholder with this number.
    Value(usize),
    /// `*`: whatever stands there.
    Any,
}

/// The values of a key's placeholders.
pub trait Parts {
    /// Writes all of them, one after the other.
    fn write_all(&self, key: &mut KeyWriter<'_>);

    /// Writes the one with this number.
    fn write_one(&self, number: usize, key: &mut KeyWriter<'_>);
}

/// The text of a key: its template with these values.
pub(crate) fn key_text(pieces: &[Piece], parts: &dyn Parts, hash_key: &HashKey) -> String {
    let mut text = String::with_capacity(48);
    for piece in pieces {
        match piece {
            Piece::Literal(literal) => text.push_str(literal),
            Piece::Value(number) => parts.write_one(*number, &mut KeyWriter::text(&mut text, hash_key)),
        }
    }
    text
}

/// The text of a pattern with these values; `binds` says which part each of its placeholders is.
pub(crate) fn pattern_text(
    pieces: &[PatternPiece],
    binds: impl Fn(usize) -> usize,
    parts: &dyn Parts,
    hash_key: &HashKey,
) -> String {
    let mut text = String::with_capacity(48);
    for piece in pieces {
        match piece {
            PatternPiece::Literal(literal) => text.push_str(literal),
            PatternPiece::Any => text.push('*'),
            PatternPiece::Value(number) => {
                parts.write_one(binds(*number), &mut KeyWriter::text(&mut text, hash_key));
            }
        }
    }
    text
}
