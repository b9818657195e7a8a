//! The text of a value inside a key.
//!
//! Different values of one type have different texts, and no text holds a separator of a
//! [template](crate::template) or a `*`:
//!
//! | value | text |
//! |---|---|
//! | integer, `bool` | as Rust prints it |
//! | `char`, text | itself; bytes outside `A-Za-z0-9_.~-` as `%XX` |
//! | `None` | `!` |
//! | `Some(x)` | the text of `x`; one more `!` before it when it begins with `!`, so `Some(None)` is `!!` |
//! | tuple, fields | `(a,b)`; nothing when there are none |
//! | variant | `Name` or `Name(a,b)` |

use std::fmt::{Display, Write as _};

use crate::alphabet;

/// Appends `text`, with every byte outside `A-Za-z0-9_.~-` as `%XX`: RFC 3986 percent-encoding with
/// upper-case digits. Allocates nothing but the growth of `out`.
///
/// ```
/// let mut out = String::new();
/// cache_spec::value::encode("50% off: é", &mut out);
/// assert_eq!(out, "50%25%20off%3A%20%C3%A9");
/// ```
pub fn encode(text: &str, out: &mut String) {
    const DIGITS: [char; 16] = ['0', '1', '2', '3', '4', '5', '6', '7', '8', '9', 'A', 'B', 'C', 'D', 'E', 'F'];
    let mut plain = 0;
    for (at, byte) in text.bytes().enumerate() {
        if !alphabet::is_unreserved(char::from(byte)) {
            push_plain(&text.as_bytes()[plain..at], out);
            out.push('%');
            out.push(DIGITS[usize::from(byte >> 4)]);
            out.push(DIGITS[usize::from(byte & 15)]);
            plain = at + 1;
        }
    }
    push_plain(&text.as_bytes()[plain..], out);
}

/// The decimal digits, without the flags and the indirection of a formatter: keys are mostly numbers.
fn push_digits(mut number: u64, out: &mut String) {
    let mut digits = [b'0'; 20];
    let mut first = digits.len();
    loop {
        first -= 1;
        digits[first] += u8::try_from(number % 10).expect("a digit");
        number /= 10;
        if number == 0 {
            break;
        }
    }
    push_plain(&digits[first..], out);
}

fn push_plain(bytes: &[u8], out: &mut String) {
    out.push_str(str::from_utf8(bytes).expect("unreserved bytes are ASCII"));
}

/// Writes one value.
///
/// A type writes exactly one value with it; a type that has several says so with [`tuple`]. Where
/// it writes several all the same, `;` sets them apart, so that two of them cannot run together.
///
/// ```
/// use cache_spec::value::ValueWriter;
///
/// let mut key = String::from("page:");
/// ValueWriter::new(&mut key).tuple(|items| {
///     items.item().text("a/b");
///     items.item().some(|mut inner| inner.signed(-1));
///     items.item().none();
///     items.item().variant("Draft", |_| ());
/// });
/// assert_eq!(key, "page:(a%2Fb,-1,!,Draft)");
/// ```
///
/// [`tuple`]: Self::tuple
#[derive(Debug)]
pub struct ValueWriter<'a> {
    out: &'a mut String,
    written: bool,
}

impl<'a> ValueWriter<'a> {
    /// Writes at the end of `out`.
    #[must_use]
    pub fn new(out: &'a mut String) -> Self {
        Self { out, written: false }
    }

    /// An unsigned integer.
    pub fn unsigned(&mut self, value: u128) {
        // The formatter of 128 bits is several times slower than what keys mostly hold deserves.
        match u64::try_from(value) {
            Ok(value) => push_digits(value, self.begin()),
            Err(_) => self.printed(value),
        }
    }

    /// A signed integer.
    pub fn signed(&mut self, value: i128) {
        match u64::try_from(value.unsigned_abs()) {
            Ok(digits) => {
                let out = self.begin();
                if value < 0 {
                    out.push('-');
                }
                push_digits(digits, out);
            }
            Err(_) => self.printed(value),
        }
    }

    /// `true` or `false`.
    pub fn boolean(&mut self, value: bool) {
        self.begin().push_str(if value { "true" } else { "false" });
    }

    /// One character.
    pub fn character(&mut self, value: char) {
        self.text(value.encode_utf8(&mut [0; 4]));
    }

    /// Any text.
    pub fn text(&mut self, value: &str) {
        encode(value, self.begin());
    }

    /// `None`.
    pub fn none(&mut self) {
        self.begin().push('!');
    }

    /// `Some` of the value that `write` writes.
    pub fn some(&mut self, write: impl FnOnce(ValueWriter<'_>)) {
        let out = self.begin();
        let start = out.len();
        write(ValueWriter::new(out));
        if out[start..].starts_with('!') {
            out.insert(start, '!');
        }
    }

    /// The values of a tuple, or the fields of a struct, in order. Nothing at all for none.
    pub fn tuple(&mut self, write: impl FnOnce(&mut Items<'_>)) {
        self.variant("", write);
    }

    /// A variant of an enum, with its fields in order.
    pub fn variant(&mut self, name: &str, write: impl FnOnce(&mut Items<'_>)) {
        let out = self.begin();
        encode(name, out);
        let mut items = Items { out, any: false };
        write(&mut items);
        if items.any {
            items.out.push(')');
        }
    }

    fn printed(&mut self, value: impl Display) {
        write!(self.begin(), "{value}").expect("writing to a string cannot fail");
    }

    fn begin(&mut self) -> &mut String {
        if self.written {
            self.out.push(';');
        }
        self.written = true;
        self.out
    }
}

/// The items of a tuple or variant.
#[derive(Debug)]
pub struct Items<'a> {
    out: &'a mut String,
    any: bool,
}

impl Items<'_> {
    /// A writer for the next item. It counts as an item even if nothing is written with it.
    pub fn item(&mut self) -> ValueWriter<'_> {
        self.out.push(if self.any { ',' } else { '(' });
        self.any = true;
        ValueWriter::new(self.out)
    }
}

#[cfg(test)]
mod tests;
