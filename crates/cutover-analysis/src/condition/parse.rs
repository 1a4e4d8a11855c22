//! A condition's words as a tree.

use super::InvalidCondition;
use super::token::{Token, Word, tokens};

/// Deeper nesting is no condition that a person wrote, and would need as deep a stack.
const MAX_DEPTH: usize = 64;

#[derive(Debug, Clone, PartialEq)]
pub(super) enum Expression {
    Number(f64),
    Text(String),
    Bool(bool),
    Result,
    Field(Box<Self>, String),
    Index(Box<Self>, Box<Self>),
    Call(Function, Vec<Self>),
    Not(Box<Self>),
    Minus(Box<Self>),
    Binary(Operator, Box<Self>, Box<Self>),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Function {
    /// How many: of a list, a map or a text.
    Len,
    /// The first, or the second where the first is not there.
    Default,
    /// Whether it is no number: missing points come as null, for JSON has no other word.
    IsNan,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Operator {
    Or,
    And,
    Equal,
    Unequal,
    Less,
    AtMost,
    More,
    AtLeast,
    Plus,
    Minus,
    Times,
    Over,
    Rest,
}

/// From the loosest to the tightest.
const LEVELS: [&[(&str, Operator)]; 5] = [
    &[("||", Operator::Or)],
    &[("&&", Operator::And)],
    &[
        ("==", Operator::Equal),
        ("!=", Operator::Unequal),
        ("<=", Operator::AtMost),
        (">=", Operator::AtLeast),
        ("<", Operator::Less),
        (">", Operator::More),
    ],
    &[("+", Operator::Plus), ("-", Operator::Minus)],
    &[
        ("*", Operator::Times),
        ("/", Operator::Over),
        ("%", Operator::Rest),
    ],
];

/// Comparisons do not chain: `a < b < c` would compare a truth with a number.
const COMPARISONS: usize = 2;

pub(super) fn parse(text: &str) -> Result<Expression, InvalidCondition> {
    let tokens = tokens(text)?;
    let end = text.trim_end().chars().count() + 1;
    if tokens.is_empty() {
        return Err(InvalidCondition {
            column: 1,
            problem: "the condition is empty".to_owned(),
        });
    }
    let mut parser = Parser {
        tokens,
        at: 0,
        end,
        depth: 0,
    };
    let expression = parser.level(0)?;
    match parser.tokens.get(parser.at) {
        None => Ok(expression),
        Some(token) => Err(unexpected(token)),
    }
}

fn unexpected(token: &Token) -> InvalidCondition {
    let shown = match &token.word {
        Word::Number(number) => format!("{number}"),
        Word::Text(text) => format!("\"{text}\""),
        Word::Name(name) => name.clone(),
        Word::Sign(sign) => (*sign).to_owned(),
    };
    InvalidCondition {
        column: token.column,
        problem: format!("`{shown}` was not expected here"),
    }
}

struct Parser {
    tokens: Vec<Token>,
    at: usize,
    end: usize,
    depth: usize,
}

impl Parser {
    fn is_next(&mut self, sign: &str) -> bool {
        let next = self.tokens.get(self.at).map(|token| &token.word);
        let found = matches!(next, Some(Word::Sign(other)) if *other == sign);
        self.at += usize::from(found);
        found
    }

    fn expect(&mut self, sign: &str) -> Result<(), InvalidCondition> {
        if self.is_next(sign) {
            return Ok(());
        }
        Err(match self.tokens.get(self.at) {
            None => self.ends(),
            Some(token) => InvalidCondition {
                problem: format!("{}; `{sign}` was", unexpected(token).problem),
                ..unexpected(token)
            },
        })
    }

    fn ends(&self) -> InvalidCondition {
        InvalidCondition {
            column: self.end,
            problem: "the condition ends in the middle".to_owned(),
        }
    }

    fn level(&mut self, level: usize) -> Result<Expression, InvalidCondition> {
        let Some(operators) = LEVELS.get(level) else {
            return self.prefixed();
        };
        let mut left = self.level(level + 1)?;
        loop {
            let found = operators.iter().find(|(sign, _)| self.is_next(sign));
            let Some((_, operator)) = found else {
                return Ok(left);
            };
            let right = self.level(level + 1)?;
            left = Expression::Binary(*operator, Box::new(left), Box::new(right));
            if level == COMPARISONS {
                return Ok(left);
            }
        }
    }

    fn prefixed(&mut self) -> Result<Expression, InvalidCondition> {
        self.depth += 1;
        if self.depth > MAX_DEPTH {
            return Err(InvalidCondition {
                column: self.tokens.get(self.at).map_or(self.end, |token| token.column),
                problem: format!("nested more than {MAX_DEPTH} deep"),
            });
        }
        let expression = if self.is_next("!") {
            Expression::Not(Box::new(self.prefixed()?))
        } else if self.is_next("-") {
            Expression::Minus(Box::new(self.prefixed()?))
        } else {
            self.suffixed()?
        };
        self.depth -= 1;
        Ok(expression)
    }

    fn suffixed(&mut self) -> Result<Expression, InvalidCondition> {
        let mut expression = self.single()?;
        loop {
            if self.is_next(".") {
                let Some(token) = self.tokens.get(self.at) else {
                    return Err(self.ends());
                };
                let Word::Name(name) = &token.word else {
                    return Err(InvalidCondition {
                        column: token.column,
                        problem: "a name was expected here".to_owned(),
                    });
                };
                expression = Expression::Field(Box::new(expression), name.clone());
                self.at += 1;
            } else if self.is_next("[") {
                let index = self.level(0)?;
                self.expect("]")?;
                expression = Expression::Index(Box::new(expression), Box::new(index));
            } else {
                return Ok(expression);
            }
        }
    }

    fn single(&mut self) -> Result<Expression, InvalidCondition> {
        let Some(token) = self.tokens.get(self.at).cloned() else {
            return Err(self.ends());
        };
        self.at += 1;
        match token.word {
            Word::Number(number) => Ok(Expression::Number(number)),
            Word::Text(text) => Ok(Expression::Text(text)),
            Word::Sign("(") => {
                let inner = self.level(0)?;
                self.expect(")")?;
                Ok(inner)
            }
            Word::Sign(_) => {
                self.at -= 1;
                Err(unexpected(&token))
            }
            Word::Name(name) => self.named(&name, token.column),
        }
    }

    fn named(&mut self, name: &str, column: usize) -> Result<Expression, InvalidCondition> {
        let (function, arguments) = match name {
            "result" => return Ok(Expression::Result),
            "true" => return Ok(Expression::Bool(true)),
            "false" => return Ok(Expression::Bool(false)),
            "len" => (Function::Len, 1),
            "default" => (Function::Default, 2),
            "isNaN" => (Function::IsNan, 1),
            other => {
                return Err(InvalidCondition {
                    column,
                    problem: format!(
                        "`{other}` is not known; there are `result`, `len(…)`, `default(…, …)` and `isNaN(…)`"
                    ),
                });
            }
        };
        self.expect("(")?;
        let mut given = vec![self.level(0)?];
        while given.len() < arguments {
            self.expect(",")?;
            given.push(self.level(0)?);
        }
        self.expect(")")?;
        Ok(Expression::Call(function, given))
    }
}
