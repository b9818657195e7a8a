//! Which names a piece of code mentions, told from its tokens alone.

use proc_macro2::{Delimiter, Ident, Spacing, TokenStream, TokenTree};
use quote::ToTokens;
use syn::ext::IdentExt;

/// Whether `name` occurs anywhere in the code.
pub(crate) fn mentions(code: &impl ToTokens, name: &str) -> bool {
    any_token(code.to_token_stream(), &|token| is_word(token, name))
}

/// Whether the code holds a borrow: `&` or a lifetime, other than `'static`.
pub(crate) fn borrows(code: &impl ToTokens) -> bool {
    let tokens: Vec<TokenTree> = code.to_token_stream().into_iter().collect();
    tokens.iter().enumerate().any(|(at, token)| match token {
        TokenTree::Punct(mark) if mark.as_char() == '&' => !is_static(&tokens[at + 1..]),
        TokenTree::Punct(mark) if mark.as_char() == '\'' => !is_static(&tokens[at..]),
        TokenTree::Group(group) => borrows(&group.stream()),
        TokenTree::Ident(_) | TokenTree::Punct(_) | TokenTree::Literal(_) => false,
    })
}

/// Whether the code says `Self` for itself, outside items of its own such as a nested `impl`.
pub(crate) fn says_self_type(code: &impl ToTokens) -> bool {
    let mut item = false;
    for token in code.to_token_stream() {
        match &token {
            TokenTree::Ident(word) if opens_item(word) => item = true,
            TokenTree::Ident(word) if word == "Self" && !item => return true,
            TokenTree::Group(group) if group.delimiter() == Delimiter::Brace && item => {
                item = false;
            }
            TokenTree::Group(group) if !item && says_self_type(&group.stream()) => return true,
            TokenTree::Punct(mark) if mark.as_char() == ';' => item = false,
            TokenTree::Ident(_) | TokenTree::Group(_) | TokenTree::Punct(_) | TokenTree::Literal(_) => {}
        }
    }
    false
}

/// Whether an expression uses the variable `name`, also inside a format string.
pub(crate) fn uses_variable(code: &impl ToTokens, name: &str) -> bool {
    uses(&code.to_token_stream().into_iter().collect::<Vec<_>>(), name)
}

fn uses(tokens: &[TokenTree], name: &str) -> bool {
    tokens.iter().enumerate().any(|(at, token)| match token {
        TokenTree::Ident(_) => is_word(token, name) && stands_alone(tokens, at),
        TokenTree::Group(group) => uses(&group.stream().into_iter().collect::<Vec<_>>(), name),
        TokenTree::Literal(text) => captures(&text.to_string(), name),
        TokenTree::Punct(_) => false,
    })
}

/// Not a field or method (`.name`), not part of a path, not the name of a field (`name: value`).
fn stands_alone(tokens: &[TokenTree], at: usize) -> bool {
    let mark =
        |at: usize, character| matches!(tokens.get(at), Some(TokenTree::Punct(mark)) if mark.as_char() == character);
    let before = at.checked_sub(1);
    let range = at >= 2 && mark(at - 2, '.');
    let member = before.is_some_and(|before| mark(before, '.')) && !range;
    let in_path = before.is_some_and(|before| mark(before, ':') && joint(tokens, before));
    !member && !in_path && !mark(at + 1, ':')
}

/// Whether the mark at `at` is the second half of `::`.
fn joint(tokens: &[TokenTree], at: usize) -> bool {
    let first = at.checked_sub(1).and_then(|before| tokens.get(before));
    matches!(first, Some(TokenTree::Punct(mark)) if mark.as_char() == ':' && mark.spacing() == Spacing::Joint)
}

/// `"{name}"`, `"{name:?}"`, `"{:name$}"` and `"{:.name$}"`.
fn captures(text: &str, name: &str) -> bool {
    text.split('{').skip(1).any(|part| {
        let inside = part.split('}').next().unwrap_or(part);
        let (value, format) = inside.split_once(':').unwrap_or((inside, ""));
        value.trim() == name || counts(format).any(|count| count == name)
    })
}

/// The names before the `$`s of a format, of its width and its precision. A zero before the width is a flag.
fn counts(format: &str) -> impl Iterator<Item = &str> {
    let before = format.rsplit_once('$').map_or("", |(before, _)| before);
    let is_in_name = |letter: char| letter.is_alphanumeric() || letter == '_';
    let names = before.split('$').filter_map(move |piece| piece.rsplit(|letter| !is_in_name(letter)).next());
    names.map(|name| name.trim_start_matches('0'))
}

/// Whether the body of the function `name` calls it again: by its name, or a method on `self`, a clone of `self` or `Self`.
/// What another path or value has by this name is another function, unless its future is boxed: one that is a part of
/// itself has to be.
pub(crate) fn calls_itself(body: &impl ToTokens, name: &str, is_in_impl: bool) -> bool {
    calls(body.to_token_stream(), name, is_in_impl, false)
}

fn calls(code: TokenStream, name: &str, is_in_impl: bool, is_boxed: bool) -> bool {
    let tokens: Vec<TokenTree> = code.into_iter().collect();
    tokens.iter().enumerate().any(|(at, token)| match token {
        TokenTree::Group(group) => {
            let boxes = at > 0 && is_word(&tokens[at - 1], "pin");
            calls(group.stream(), name, is_in_impl, is_boxed || boxes)
        }
        TokenTree::Ident(_) => {
            let (before, after) = (&tokens[..at], &tokens[at + 1..]);
            let itself = || is_boxed && !is_declared(before) || boxes(after) || is_through_itself(before, is_in_impl);
            is_word(token, name) && is_called(after) && itself()
        }
        TokenTree::Punct(_) | TokenTree::Literal(_) => false,
    })
}

/// `(..).boxed()`.
fn boxes(after: &[TokenTree]) -> bool {
    matches!(after, [TokenTree::Group(_), dot, boxed, ..] if is_mark(dot, '.') && ["boxed", "boxed_local"].iter().any(|name| is_word(boxed, name)))
}

/// `fn name`.
fn is_declared(before: &[TokenTree]) -> bool {
    matches!(before, [.., word] if is_word(word, "fn"))
}

/// `(..)` or `::<..>(..)`.
fn is_called(after: &[TokenTree]) -> bool {
    match after {
        [TokenTree::Group(arguments), ..] => arguments.delimiter() == Delimiter::Parenthesis,
        [one, two, three, ..] => is_mark(one, ':') && is_mark(two, ':') && is_mark(three, '<'),
        _ => false,
    }
}

/// What stands before the name of a function that calls itself.
fn is_through_itself(before: &[TokenTree], is_in_impl: bool) -> bool {
    match before {
        [.., path, one, two] if is_mark(one, ':') && is_mark(two, ':') => {
            is_word(path, "Self") || is_word(path, "self") && !is_in_impl
        }
        [.., one, two] if is_mark(one, '.') && is_mark(two, '.') => !is_in_impl,
        [value @ .., dot] if is_mark(dot, '.') => is_in_impl && is_self(value),
        _ => !is_in_impl && !is_declared(before),
    }
}

/// `self`, `self.clone()` or `Arc::clone(&self)`.
fn is_self(value: &[TokenTree]) -> bool {
    match value {
        [.., word] if is_word(word, "self") => true,
        [.., clone, TokenTree::Group(argument)] if is_word(clone, "clone") && !argument.stream().is_empty() => {
            is_self(&argument.stream().into_iter().collect::<Vec<_>>())
        }
        [value @ .., dot, clone, TokenTree::Group(_)] if is_mark(dot, '.') && is_word(clone, "clone") => is_self(value),
        _ => false,
    }
}

fn is_mark(token: &TokenTree, character: char) -> bool {
    matches!(token, TokenTree::Punct(mark) if mark.as_char() == character)
}

fn any_token(tokens: TokenStream, holds: &impl Fn(&TokenTree) -> bool) -> bool {
    tokens.into_iter().any(|token| match &token {
        TokenTree::Group(group) => any_token(group.stream(), holds),
        TokenTree::Ident(_) | TokenTree::Punct(_) | TokenTree::Literal(_) => holds(&token),
    })
}

fn is_word(token: &TokenTree, name: &str) -> bool {
    matches!(token, TokenTree::Ident(word) if word.unraw() == name)
}

fn is_static(tokens: &[TokenTree]) -> bool {
    matches!(tokens, [TokenTree::Punct(mark), TokenTree::Ident(word), ..] if mark.as_char() == '\'' && word == "static")
}

fn opens_item(word: &Ident) -> bool {
    ["impl", "trait", "struct", "enum", "union"].iter().any(|opener| word == opener)
}

#[cfg(test)]
mod tests {
    use quote::quote;

    use super::*;

    #[test]
    fn variables_are_told_from_fields_paths_and_names_of_fields() {
        let uses = |code: TokenStream| uses_variable(&code, "id");
        assert!(uses(quote!(UserUpdated { tenant, id })));
        assert!(uses(quote!(UserUpdated { tenant: id.0 })));
        assert!(uses(quote!(Saved::of(&id, 1..id))));
        assert!(uses(quote!(Saved { text: format!("{tenant}-{id:?}") })));
        assert!(uses(quote!(format!("{tenant:id$}"))));
        assert!(uses(quote!(format!("{:>+.id$} and {}", tenant, 1))));
        assert!(uses(quote!(format!("{tenant:#0id$.width$?}"))));
        assert!(!uses(quote!(format!("{tenant:idea$}{idea:.my_id$} id$ {tenant:id>1$}"))));
        assert!(!uses(quote!(UserUpdated { tenant, id: result.id })));
        assert!(!uses(quote!(Saved::id(tenant.id()))));
        assert!(!uses(quote!(id::Saved { id: "id {identity}" })));
    }

    #[test]
    fn borrows_are_references_and_lifetimes() {
        for code in [quote!(&Db), quote!(Option<&'a str>), quote!(Cow<'_, str>), quote!((u8, &T))] {
            assert!(borrows(&code), "{code}");
        }
        for code in [quote!(Db), quote!(&'static str), quote!(Cow<'static, str>), quote!(Vec<u8>)] {
            assert!(!borrows(&code), "{code}");
        }
    }

    #[test]
    fn a_call_of_itself_is_told_from_calls_of_its_namesakes() {
        for code in [
            quote!(Box::pin(fib(n - 1)).await),
            quote!(fib::<T>(n)),
            quote!(1..self::fib(n)),
            quote!(Self::fib(n)),
            quote!(Box::pin(crate::math::fib(n)).await),
            quote!(math::fib(n).boxed().await),
        ] {
            assert!(calls_itself(&code, "fib", false), "{code}");
        }
        for code in [
            quote!(Box::pin(async {
                fn fib(n: u64) {}
            })),
            quote!(db::fib(n)),
            quote!(db.fib(n)),
            quote!(let fib = n; fib),
            quote!(
                fn fib(n: u64) {}
            ),
        ] {
            assert!(!calls_itself(&code, "fib", false), "{code}");
        }
        for code in [
            quote!(Box::pin(async move { Arc::clone(child).fib(n).await })),
            quote!(self.fib(n)),
            quote!(self.clone().fib(n)),
            quote!({ Arc::clone(&self).fib(n) }),
            quote!(Self::fib(n)),
        ] {
            assert!(calls_itself(&code, "fib", true), "{code}");
        }
        for code in [quote!(fib(n)), quote!(self.db.fib(n)), quote!(self.db.clone().fib(n)), quote!(self.of(n).fib())] {
            assert!(!calls_itself(&code, "fib", true), "{code}");
        }
    }

    #[test]
    fn self_of_a_nested_item_is_not_the_functions() {
        assert!(says_self_type(&quote!(let label = Self::label(id); label)));
        assert!(says_self_type(&quote!(Ok(vec![Self { id }]))));
        assert!(!says_self_type(&quote!(struct A; impl A { fn new() -> Self { Self } } id)));
        assert!(says_self_type(&quote!(impl A { fn new() -> Self { Self } } Self::label(id))));
    }
}
