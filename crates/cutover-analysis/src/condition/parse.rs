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
    /// Nothing: what is null, or is not there.
    Nil,
    List(Vec<Self>),
    Result,
    Field(Box<Self>, String),
    Index(Box<Self>, Box<Self>),
    Call(Function, Vec<Self>),
    Not(Box<Self>),
    Minus(Box<Self>),
    Binary(Operator, Box<Self>, Box<Self>),
}

impl Expression {
    /// What it can only be, where it can never be true or false.
    fn never_true(&self) -> Option<&'static str> {
        match self {
            Self::Number(_) | Self::Minus(_) => Some("a number"),
            Self::Text(_) => Some("a text"),
            Self::Nil => Some("nothing"),
            Self::List(_) => Some("a list"),
            Self::Call(Function::Len | Function::AsInt | Function::AsFloat, _) => Some("a number"),
            Self::Binary(operator, ..) if operator.reckons() => Some("a number"),
            _ => None,
        }
    }

    /// Whether the result has a say in it.
    fn asks_result(&self) -> bool {
        match self {
            Self::Number(_) | Self::Text(_) | Self::Bool(_) | Self::Nil => false,
            Self::Result => true,
            Self::Field(of, _) | Self::Not(of) | Self::Minus(of) => of.asks_result(),
            Self::Index(one, other) | Self::Binary(_, one, other) => one.asks_result() || other.asks_result(),
            Self::Call(_, parts) | Self::List(parts) => parts.iter().any(Self::asks_result),
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Function {
    /// How many: of a list, a map or a text.
    Len,
    /// The first, or the second where the first is not there.
    Default,
    /// Whether it is no finite number: missing and infinite points come as null, for JSON has no other word. So `isNaN`
    /// and `isInf` are the same question.
    IsNan,
    /// Whether there is nothing.
    IsNil,
    /// As a whole number, without its fraction.
    AsInt,
    /// As a number.
    AsFloat,
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
    /// Whether a list holds it, a map has such a key, or a text such a part.
    In,
    Plus,
    Minus,
    Times,
    Over,
    Rest,
}

impl Operator {
    /// Whether what comes out is a number.
    const fn reckons(self) -> bool {
        matches!(
            self,
            Self::Plus | Self::Minus | Self::Times | Self::Over | Self::Rest
        )
    }

    /// Whether both sides must be true or false.
    const fn joins(self) -> bool {
        matches!(self, Self::Or | Self::And)
    }
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
        ("in", Operator::In),
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
    let begins = parser.column();
    let expression = parser.level(0)?;
    if let Some(token) = parser.tokens.get(parser.at) {
        return Err(unexpected(token));
    }
    if !expression.asks_result() {
        return Err(InvalidCondition {
            column: begins,
            problem: "this says the same of every result: `result` is nowhere in it".to_owned(),
        });
    }
    truth(&expression, begins)?;
    Ok(expression)
}

/// Refuses what can never be true or false where that is needed.
fn truth(expression: &Expression, column: usize) -> Result<(), InvalidCondition> {
    match expression.never_true() {
        None => Ok(()),
        Some(kind) => Err(InvalidCondition {
            column,
            problem: format!("this is {kind}, and never true or false"),
        }),
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

    /// Where the next word begins.
    fn column(&self) -> usize {
        self.tokens.get(self.at).map_or(self.end, |token| token.column)
    }

    fn level(&mut self, level: usize) -> Result<Expression, InvalidCondition> {
        let Some(operators) = LEVELS.get(level) else {
            return self.prefixed();
        };
        let begins = self.column();
        let mut left = self.level(level + 1)?;
        loop {
            let found = operators.iter().find(|(sign, _)| self.is_next(sign));
            let Some((_, operator)) = found else {
                return Ok(left);
            };
            let next = self.column();
            let right = self.level(level + 1)?;
            if operator.joins() {
                truth(&left, begins)?;
                truth(&right, next)?;
            }
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
                column: self.column(),
                problem: format!("nested more than {MAX_DEPTH} deep"),
            });
        }
        let expression = if self.is_next("!") {
            let next = self.column();
            let of = self.prefixed()?;
            truth(&of, next)?;
            Expression::Not(Box::new(of))
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
                let name = match &token.word {
                    Word::Name(name) => name.clone(),
                    Word::Sign("in") => "in".to_owned(),
                    _ => {
                        return Err(InvalidCondition {
                            column: token.column,
                            problem: "a name was expected here".to_owned(),
                        });
                    }
                };
                expression = Expression::Field(Box::new(expression), name);
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
            Word::Sign("[") => self.list(),
            Word::Sign(_) => {
                self.at -= 1;
                Err(unexpected(&token))
            }
            Word::Name(name) => self.named(&name, token.column),
        }
    }

    /// After the bracket: `["ok", "degraded"]`.
    fn list(&mut self) -> Result<Expression, InvalidCondition> {
        let mut parts = Vec::new();
        if self.is_next("]") {
            return Ok(Expression::List(parts));
        }
        loop {
            parts.push(self.level(0)?);
            if !self.is_next(",") {
                self.expect("]")?;
                return Ok(Expression::List(parts));
            }
        }
    }

    fn named(&mut self, name: &str, column: usize) -> Result<Expression, InvalidCondition> {
        let (function, arguments) = match name {
            "result" => return Ok(Expression::Result),
            "true" => return Ok(Expression::Bool(true)),
            "false" => return Ok(Expression::Bool(false)),
            "nil" | "null" => return Ok(Expression::Nil),
            "len" => (Function::Len, 1),
            "default" => (Function::Default, 2),
            "isNaN" | "isInf" => (Function::IsNan, 1),
            "isNil" => (Function::IsNil, 1),
            "asInt" => (Function::AsInt, 1),
            "asFloat" => (Function::AsFloat, 1),
            other => {
                return Err(InvalidCondition {
                    column,
                    problem: format!(
                        "`{other}` is not known; there are `result`, `len(…)`, `default(…, …)`, `isNaN(…)`, `isInf(…)`, `isNil(…)`, `asInt(…)` and `asFloat(…)`"
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
