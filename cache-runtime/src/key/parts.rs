//! What may stand in a key without a derive.

use std::borrow::Cow;
use std::rc::Rc;
use std::sync::Arc;

use crate::key::{KeyPart, KeyWriter, Parts, Written};

macro_rules! numbers {
    ($($type:ident),+) => {$(
        impl KeyPart for $type {
            type Canonical = Self;

            #[inline(always)]
            fn write(&self, key: &mut KeyWriter<'_>) {
                key.$type(*self);
            }
        }
    )+};
}

numbers!(u8, u16, u32, u64, u128, i8, i16, i32, i64, i128, bool, char);

impl KeyPart for usize {
    type Canonical = Self;

    #[inline(always)]
    fn write(&self, key: &mut KeyWriter<'_>) {
        key.u64(*self as u64);
    }
}

impl KeyPart for isize {
    type Canonical = Self;

    #[inline(always)]
    fn write(&self, key: &mut KeyWriter<'_>) {
        key.i64(*self as i64);
    }
}

impl KeyPart for str {
    type Canonical = str;

    #[inline(always)]
    fn write(&self, key: &mut KeyWriter<'_>) {
        key.str(self);
    }
}

impl KeyPart for String {
    type Canonical = str;

    #[inline(always)]
    fn write(&self, key: &mut KeyWriter<'_>) {
        key.str(self);
    }
}

impl<T: KeyPart + ToOwned + ?Sized> KeyPart for Cow<'_, T> {
    type Canonical = T::Canonical;

    #[inline(always)]
    fn write(&self, key: &mut KeyWriter<'_>) {
        T::write(self, key);
    }
}

macro_rules! pointers {
    ($($type:ty),+) => {$(
        impl<T: KeyPart + ?Sized> KeyPart for $type {
            type Canonical = T::Canonical;

            #[inline(always)]
            fn write(&self, key: &mut KeyWriter<'_>) {
                T::write(self, key);
            }
        }
    )+};
}

pointers!(&T, Box<T>, Arc<T>, Rc<T>);

impl<T: KeyPart> KeyPart for Option<T> {
    type Canonical = Option<Part<T::Canonical>>;

    #[inline(always)]
    fn write(&self, key: &mut KeyWriter<'_>) {
        key.option(self.as_ref());
    }
}

#[cfg(feature = "uuid")]
impl KeyPart for uuid::Uuid {
    type Canonical = Self;

    fn write(&self, key: &mut KeyWriter<'_>) {
        key.fixed(self.as_bytes(), self.hyphenated().encode_lower(&mut uuid::Uuid::encode_buffer()));
    }
}

macro_rules! tuples {
    ($($name:ident $number:tt),+) => {
        impl<$($name: KeyPart),+> KeyPart for ($($name,)+) {
            type Canonical = ($(Part<$name::Canonical>,)+);

            #[inline(always)]
            fn write(&self, key: &mut KeyWriter<'_>) {
                key.tuple(|key| { $(key.item(&self.$number);)+ });
            }
        }

        impl<$($name: KeyPart + ?Sized),+> Parts for ($(&$name,)+) {
            #[inline(always)]
            fn write_all(&self, key: &mut KeyWriter<'_>) {
                $(KeyPart::write(self.$number, key);)+
            }

            fn one(&self, number: usize) -> &dyn Written {
                match number {
                    $($number => &self.$number,)+
                    _ => unreachable!("the macro numbers the placeholders"),
                }
            }
        }
    };
}

/// Stands for a part of a tuple under comparison; text has no size.
#[derive(Debug)]
pub struct Part<T: ?Sized>(std::marker::PhantomData<T>);

impl Parts for () {
    #[inline(always)]
    fn write_all(&self, _key: &mut KeyWriter<'_>) {}

    fn one(&self, _number: usize) -> &dyn Written {
        unreachable!("a template without placeholders asks for none")
    }
}

tuples!(A 0);
tuples!(A 0, B 1);
tuples!(A 0, B 1, C 2);
tuples!(A 0, B 1, C 2, D 3);
tuples!(A 0, B 1, C 2, D 3, E 4);
tuples!(A 0, B 1, C 2, D 3, E 4, F 5);
tuples!(A 0, B 1, C 2, D 3, E 4, F 5, G 6);
tuples!(A 0, B 1, C 2, D 3, E 4, F 5, G 6, H 7);
tuples!(A 0, B 1, C 2, D 3, E 4, F 5, G 6, H 7, I 8);
tuples!(A 0, B 1, C 2, D 3, E 4, F 5, G 6, H 7, I 8, J 9);
tuples!(A 0, B 1, C 2, D 3, E 4, F 5, G 6, H 7, I 8, J 9, K 10);
tuples!(A 0, B 1, C 2, D 3, E 4, F 5, G 6, H 7, I 8, J 9, K 10, L 11);
