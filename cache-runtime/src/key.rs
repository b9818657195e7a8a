//! Keys: what tells one call of a cached function from another.
//!
//! A key has two forms, both written by [`KeyPart::write`], so that they cannot disagree. The *bytes* are for the
//! in-process tier: fixed-width numbers and length-prefixed text behind the function's number, made on the stack on
//! every call. The *text* is for people, for events and for other processes: the template with percent-encoded values,
//! made on a miss. Distinct arguments give distinct forms, whatever they hold.

mod bytes;
mod parts;
mod text;

use std::fmt;

use cache_spec::value::{Items, ValueWriter};

use self::bytes::KeyBytes;
use self::bytes::ShortKey;
pub(crate) use self::bytes::{Key, Probe, short_key, with_long_key};
pub(crate) use self::text::{Draft, HashKey, hashed, key_draft, pattern_draft};
pub use self::text::{PatternPiece, Piece};

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

    /// Writes this value. Two values that differ must write something different, and neither may begin with all that the
    /// other writes: in memory, the parts of a key stand one behind the other, with nothing between them.
    ///
    /// What is derived keeps this, and so does a type of which every value is written by the same calls in the same order.
    /// Where that depends on the value, say with [`KeyWriter::variant`] which it is, or write an `Option` or text, which
    /// tell where they end. Nothing notices two values that are written alike: each is served as the other.
    ///
    /// It is called with every call of a cached function, in the caller's task: a panic in it is the caller's.
    ///
    /// # Examples
    ///
    /// ```
    /// use cache_runtime::{KeyPart, KeyWriter};
    ///
    /// enum Port {
    ///     Low(u8),
    ///     High(u16),
    /// }
    ///
    /// impl KeyPart for Port {
    ///     type Canonical = Self;
    ///
    ///     fn write(&self, key: &mut KeyWriter<'_>) {
    ///         // With `key.u8(*port)` and `key.u16(*port)` alone, the keys of `(Low(1), High(0x302))` and of
    ///         // `(High(0x201), Low(3))` would be the same three bytes.
    ///         match self {
    ///             Self::Low(port) => key.variant(0, "Low", |key| key.item(port)),
    ///             Self::High(port) => key.variant(1, "High", |key| key.item(port)),
    ///         }
    ///     }
    /// }
    /// ```
    fn write(&self, key: &mut KeyWriter<'_>);

    /// A digest to be shown in place of the value, for `<arg:hash>`.
    #[doc(hidden)]
    fn digest(&self) -> Option<[u8; 32]> {
        None
    }
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
    Text(ValueWriter<'a>),
    /// The items of a tuple or variant in the text.
    Items(&'a mut dyn ItemSource),
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

macro_rules! write_number {
    ($($name:ident($type:ty) $text:ident),+) => {$(
        #[doc = concat!("Writes a `", stringify!($type), "`.")]
        #[inline(always)]
        pub fn $name(&mut self, number: $type) {
            match &mut self.form {
                Form::Short(short) => short.push_slice(&number.to_le_bytes()),
                Form::Bytes(bytes) => bytes.extend(&number.to_le_bytes()),
                _ => self.as_text(|text| text.$text(number.into())),
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

    fn text(out: &'a mut String) -> Self {
        Self { form: Form::Text(ValueWriter::new(out)) }
    }

    write_number!(u8(u8) unsigned, u16(u16) unsigned, u32(u32) unsigned, u64(u64) unsigned, u128(u128) unsigned);
    write_number!(i8(i8) signed, i16(i16) signed, i32(i32) signed, i64(i64) signed, i128(i128) signed);

    /// Writes a `bool`.
    #[inline(always)]
    pub fn bool(&mut self, value: bool) {
        match &mut self.form {
            Form::Short(short) => short.push_slice(&[u8::from(value)]),
            Form::Bytes(bytes) => bytes.extend(&[u8::from(value)]),
            _ => self.as_text(|text| text.boolean(value)),
        }
    }

    /// Writes a `char`.
    #[inline(always)]
    pub fn char(&mut self, value: char) {
        match &mut self.form {
            Form::Short(short) => short.push_slice(&u32::from(value).to_le_bytes()),
            Form::Bytes(bytes) => bytes.extend(&u32::from(value).to_le_bytes()),
            _ => self.as_text(|text| text.character(value)),
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
            _ => self.as_text(|text| text.text(value)),
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
            (_, None) => self.as_text(|text: &mut ValueWriter<'_>| text.none()),
            (_, Some(value)) => self.as_text(|text| {
                text.some(|text| value.write(&mut KeyWriter { form: Form::Text(text) }));
            }),
        }
    }

    /// Writes several values as one: each with [`KeyWriter::item`] inside `items`.
    #[inline(always)]
    pub fn tuple(&mut self, items: impl FnOnce(&mut KeyWriter<'_>)) {
        match &mut self.form {
            Form::Short(_) | Form::Bytes(_) => items(self),
            _ => self.as_text(|text| {
                text.tuple(|inner| items(&mut KeyWriter { form: Form::Items(inner) }));
            }),
        }
    }

    /// Writes one value inside [`KeyWriter::tuple`] or [`KeyWriter::variant`].
    #[inline(always)]
    pub fn item<T: KeyPart + ?Sized>(&mut self, value: &T) {
        match &mut self.form {
            Form::Short(_) | Form::Bytes(_) | Form::Text(..) => value.write(self),
            Form::Items(items) => value.write(&mut KeyWriter { form: Form::Text(items.next()) }),
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
            _ => self.as_text(|text| {
                text.variant(name, |inner| fields(&mut KeyWriter { form: Form::Items(inner) }));
            }),
        }
    }

    fn as_text(&mut self, write: impl FnOnce(&mut ValueWriter<'_>)) {
        match &mut self.form {
            Form::Short(_) | Form::Bytes(_) => {}
            Form::Text(text) => write(text),
            Form::Items(items) => write(&mut items.next()),
        }
    }
}

impl fmt::Debug for KeyWriter<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KeyWriter").finish_non_exhaustive()
    }
}

/// A part of which the text shows a keyed hash only: long or private. The bytes hold all of it.
#[derive(Clone, Copy, Debug)]
pub struct Hashed<'a, T: ?Sized>(pub &'a T);

impl<T: KeyPart + ?Sized> KeyPart for Hashed<'_, T> {
    type Canonical = T::Canonical;

    #[inline(always)]
    fn write(&self, key: &mut KeyWriter<'_>) {
        self.0.write(key);
    }

    fn digest(&self) -> Option<[u8; 32]> {
        Some(text::digest_of(self.0))
    }
}

/// The values of a key's placeholders.
pub trait Parts {
    /// Writes all of them, one after the other.
    fn write_all(&self, key: &mut KeyWriter<'_>);

    /// The one with this number.
    fn one(&self, number: usize) -> &dyn Written;
}

/// A part without its type.
pub trait Written {
    /// See [`KeyPart::write`].
    fn write(&self, key: &mut KeyWriter<'_>);

    /// See [`KeyPart::digest`].
    fn digest(&self) -> Option<[u8; 32]>;
}

impl<T: KeyPart + ?Sized> Written for &T {
    fn write(&self, key: &mut KeyWriter<'_>) {
        T::write(self, key);
    }

    fn digest(&self) -> Option<[u8; 32]> {
        T::digest(self)
    }
}
