//! Lays a pattern over a template.

use crate::template::{Piece, Template, escaped};
use crate::{Mistake, alphabet};

use super::{Pattern, PatternPiece};

/// One step of a pattern or template: a character or something that stands for any text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Token {
    Char(char),
    Value(usize),
    Any,
}

pub(super) fn bind(pattern: &Pattern, template: &Template) -> Result<Vec<usize>, Mistake> {
    let mut walk = Walk {
        pattern,
        template,
        left: pattern_tokens(pattern),
        right: template_tokens(template),
        at: (0, 0),
        binds: vec![None; pattern.placeholders.len()],
    };
    walk.run()?;
    let all = walk.binds.into_iter().collect::<Option<Vec<_>>>();
    Ok(all.expect("every placeholder stands in a piece, and every piece was passed"))
}

fn pattern_tokens(pattern: &Pattern) -> Vec<(Token, usize)> {
    let tokens = |(index, piece): (usize, &PatternPiece)| match piece {
        PatternPiece::Literal(text) => text.chars().map(|c| (Token::Char(c), index)).collect(),
        PatternPiece::Value(value) => vec![(Token::Value(*value), index)],
        PatternPiece::Any => vec![(Token::Any, index)],
    };
    pattern.pieces.iter().enumerate().flat_map(tokens).collect()
}

fn template_tokens(template: &Template) -> Vec<Token> {
    let tokens = |piece: &Piece| match piece {
        Piece::Literal(text) => text.chars().map(Token::Char).collect(),
        Piece::Value(value) => vec![Token::Value(*value)],
    };
    template.pieces().iter().flat_map(tokens).collect()
}

struct Walk<'a> {
    pattern: &'a Pattern,
    template: &'a Template,
    /// The pattern's tokens, each with the index of its piece.
    left: Vec<(Token, usize)>,
    right: Vec<Token>,
    /// How far both have been passed.
    at: (usize, usize),
    binds: Vec<Option<usize>>,
}

impl Walk<'_> {
    fn run(&mut self) -> Result<(), Mistake> {
        while let Some(&(token, _)) = self.left.get(self.at.0) {
            match (token, self.right.get(self.at.1).copied()) {
                (Token::Any, _) if self.at.0 + 1 == self.left.len() => return Ok(()),
                (Token::Any, _) => self.pass_part()?,
                (Token::Char(left), Some(Token::Char(right))) if left == right => self.pass(1, 1),
                (Token::Value(left), Some(Token::Value(right))) => self.pass_value(left, right)?,
                _ => return Err(self.parted()),
            }
        }
        if self.at.1 < self.right.len() { Err(self.parted()) } else { Ok(()) }
    }

    fn pass(&mut self, left: usize, right: usize) {
        self.at = (self.at.0 + left, self.at.1 + right);
    }

    fn pass_value(&mut self, left: usize, right: usize) -> Result<(), Mistake> {
        let (field, argument) = (&self.pattern.placeholders[left], &self.template.placeholders()[right]);
        if field.hashed() != argument.hashed() {
            let modifier = if argument.hashed() { ":hash" } else { "" };
            return Err(
                self.mistake(&format!("`{field}` stands for `{argument}`; write `<{}{modifier}>`", field.path()))
            );
        }
        match self.binds[left].replace(right) {
            Some(before) if before != right => {
                let before = &self.template.placeholders()[before];
                Err(self.mistake(&format!(
                    "`{field}` stands for `{before}` and for `{argument}`; \
                     name two fields of the event, or write `*` for one of them"
                )))
            }
            _ => {
                self.pass(1, 1);
                Ok(())
            }
        }
    }

    /// Passes a `*` that is not the last token: it takes the template's part up to the next
    /// separator, but leaves the text that the pattern itself has before that separator.
    fn pass_part(&mut self) -> Result<(), Mistake> {
        let own = self.left[self.at.0 + 1..].iter().map(|&(token, _)| token);
        let own = own.take_while(|&token| !is_separator(token)).count();
        let part = self.right[self.at.1..].iter();
        let part = part.take_while(|&&token| !is_separator(token)).count();
        if part < own {
            return Err(self.parted());
        }
        self.pass(1, part - own);
        Ok(())
    }

    /// The mistake of a pattern and template that cannot both go on from here.
    fn parted(&self) -> Mistake {
        let left = self.left.get(self.at.0).map(|&(token, _)| token);
        let right = self.right.get(self.at.1).copied();
        let (left_rest, right_rest) = (self.pattern_rest(), self.template_rest());
        self.mistake(&match (left, right) {
            (None, _) => format!(
                "it ends where the template goes on with `{right_rest}`; \
                 write `{}`",
                self.widened()
            ),
            (Some(_), None) => {
                format!("it goes on with `{left_rest}` where the template ends; leave that out")
            }
            (Some(Token::Char(_)), Some(Token::Value(value))) => format!(
                "it has `{left_rest}` where the template has `{right_rest}`; \
                 write a field of the event, as in `{}`, or `*`",
                self.template.placeholders()[value]
            ),
            (Some(_), Some(_)) => format!(
                "it has `{left_rest}` where the template has `{right_rest}`; \
                 write the same text as the template there"
            ),
        })
    }

    fn mistake(&self, wrong: &str) -> Mistake {
        let index = self.left.get(self.at.0).or(self.left.last()).map_or(0, |&(_, index)| index);
        let message = format!("`{}` does not fit the template `{}`: {wrong}", self.pattern, self.template);
        Mistake::new(self.pattern.places[index].clone(), message)
    }

    /// The pattern, which ends too early, with the template's text up to a place where `*` can stand.
    fn widened(&self) -> String {
        let rest = &self.right[self.at.1..];
        let fixed = match rest.iter().position(|&token| is_separator(token)) {
            Some(separator) => separator + 1,
            None => rest.len(),
        };
        let fixed = rest[..fixed].iter().take_while(|token| matches!(token, Token::Char(_))).count();
        let text: String = rest[..fixed].iter().map(|&token| show(token, |_| String::new())).collect();
        let star = if fixed < rest.len() { "*" } else { "" };
        format!("{}{text}{star}", self.pattern)
    }

    fn pattern_rest(&self) -> String {
        let rest = self.left[self.at.0..].iter();
        let name = |value: usize| self.pattern.placeholders[value].to_string();
        rest.map(|&(token, _)| show(token, name)).collect()
    }

    fn template_rest(&self) -> String {
        let rest = self.right[self.at.1..].iter();
        let name = |value: usize| self.template.placeholders()[value].to_string();
        rest.map(|&token| show(token, name)).collect()
    }
}

fn is_separator(token: Token) -> bool {
    matches!(token, Token::Char(c) if alphabet::is_separator(c))
}

fn show(token: Token, name: impl Fn(usize) -> String) -> String {
    match token {
        Token::Char(c) => escaped(&c.to_string()),
        Token::Value(value) => name(value),
        Token::Any => "*".to_owned(),
    }
}
