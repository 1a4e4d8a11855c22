//! `/api/users`: what clients see of a user, and how each release stores it.
//!
//! Clients send and get one `name`. Where it goes is the only difference between 1.0.0 and 1.1.0, and it is all in
//! [`Layout`]. Columns are always named, never `*`: a column that a migration adds or drops for another version
//! must not change an answer of this one.

use std::sync::Arc;

use axum::Json;
use axum::extract::rejection::{JsonRejection, PathRejection, QueryRejection};
use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use serde::{Deserialize, Serialize};

use crate::database::{Database, DatabaseError, Row, Value};
use crate::problem::Problem;
use crate::server::Shop;

const LIST_DEFAULT: u32 = 20;
const LIST_MOST: u32 = 500;
const NAME_LONGEST: usize = 200;

/// The columns that hold a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Layout {
    /// 1.0.0: `first_name` up to the first space, `last_name` the rest.
    FirstAndLast,
    /// 1.1.0 and later: `full_name`.
    Full,
}

struct Statements {
    list: &'static str,
    find: &'static str,
    create: &'static str,
    change: &'static str,
}

impl Layout {
    fn statements(self) -> Statements {
        match self {
            Self::FirstAndLast => Statements {
                list: "SELECT id, email, first_name, last_name FROM users ORDER BY id LIMIT $1",
                find: "SELECT id, email, first_name, last_name FROM users WHERE id = $1",
                create: "INSERT INTO users (email, first_name, last_name) VALUES ($1, $2, $3) \
                         RETURNING id, email, first_name, last_name",
                change: "UPDATE users SET email = coalesce($1, email), first_name = $2, last_name = $3 \
                         WHERE id = $4 RETURNING id, email, first_name, last_name",
            },
            Self::Full => Statements {
                list: "SELECT id, email, full_name FROM users ORDER BY id LIMIT $1",
                find: "SELECT id, email, full_name FROM users WHERE id = $1",
                create: "INSERT INTO users (email, full_name) VALUES ($1, $2) RETURNING id, email, full_name",
                change: "UPDATE users SET email = coalesce($1, email), full_name = $2 \
                         WHERE id = $3 RETURNING id, email, full_name",
            },
        }
    }

    /// The values of the name's columns, in the statements' order.
    fn store(self, name: &str) -> Vec<Value> {
        let parts = match self {
            Self::FirstAndLast => match name.split_once(' ') {
                Some((first, last)) => vec![Some(first), Some(last)],
                None => vec![Some(name), None],
            },
            Self::Full => vec![Some(name)],
        };
        parts
            .into_iter()
            .map(|part| Value::Text(part.map(str::to_owned)))
            .collect()
    }
}

/// A user as clients see one, the same in every release.
#[derive(Debug, Serialize)]
pub(crate) struct User {
    id: i64,
    name: String,
    email: Option<String>,
}

impl From<Row> for User {
    /// One column or two: what is there, joined by a space.
    fn from(row: Row) -> Self {
        let parts: Vec<String> = row.name.into_iter().flatten().collect();
        Self {
            id: row.id,
            name: parts.join(" ").trim().to_owned(),
            email: row.email,
        }
    }
}

/// What a client sends to create or change a user. Changing without an email leaves the email as it is.
#[derive(Debug, Deserialize)]
pub(crate) struct Draft {
    name: String,
    email: Option<String>,
}

impl Draft {
    /// Spaces are made single in every release, because 1.0.0 could not give others back.
    fn name(&self) -> Result<String, Problem> {
        let name = self.name.split_whitespace().collect::<Vec<_>>().join(" ");
        match name.chars().count() {
            0 => Err(Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "name is empty")),
            length if length > NAME_LONGEST => {
                Err(Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "name is too long"))
            }
            _ => Ok(name),
        }
    }
}

#[derive(Debug, Deserialize)]
pub(crate) struct Page {
    limit: Option<u32>,
}

pub(crate) async fn list(
    State(shop): State<Arc<Shop>>,
    page: Result<Query<Page>, QueryRejection>,
) -> Result<Json<Vec<User>>, Problem> {
    let Query(page) = page?;
    let limit = page.limit.unwrap_or(LIST_DEFAULT).min(LIST_MOST);
    let sql = shop.release.layout.statements().list;
    let rows = shop.database.run(sql, vec![Value::Number(limit.into())]).await?;
    Ok(Json(rows.into_iter().map(User::from).collect()))
}

pub(crate) async fn read(
    State(shop): State<Arc<Shop>>,
    id: Result<Path<i64>, PathRejection>,
) -> Result<Json<User>, Problem> {
    let Path(id) = id?;
    let rows = shop
        .database
        .run(shop.release.layout.statements().find, vec![Value::Number(id)])
        .await?;
    only(rows).map(Json).ok_or_else(|| no_such(id))
}

pub(crate) async fn create(
    State(shop): State<Arc<Shop>>,
    draft: Result<Json<Draft>, JsonRejection>,
) -> Result<(StatusCode, Json<User>), Problem> {
    let Json(draft) = draft?;
    let mut values = vec![Value::Text(draft.email.clone())];
    values.extend(shop.release.layout.store(&draft.name()?));
    let rows = shop
        .database
        .run(shop.release.layout.statements().create, values)
        .await?;
    let user = only(rows)
        .ok_or_else(|| Problem::new(StatusCode::INTERNAL_SERVER_ERROR, "the insert gave no row"))?;
    Ok((StatusCode::CREATED, Json(user)))
}

pub(crate) async fn change(
    State(shop): State<Arc<Shop>>,
    id: Result<Path<i64>, PathRejection>,
    draft: Result<Json<Draft>, JsonRejection>,
) -> Result<Json<User>, Problem> {
    let (Path(id), Json(draft)) = (id?, draft?);
    let mut values = vec![Value::Text(draft.email.clone())];
    values.extend(shop.release.layout.store(&draft.name()?));
    values.push(Value::Number(id));
    let rows = shop
        .database
        .run(shop.release.layout.statements().change, values)
        .await?;
    only(rows).map(Json).ok_or_else(|| no_such(id))
}

/// Whether the schema is one this release can work with: asks for the very columns it reads.
pub(crate) async fn schema_fits(database: &Database, layout: Layout) -> Result<(), DatabaseError> {
    database
        .run(layout.statements().list, vec![Value::Number(1)])
        .await
        .map(drop)
}

fn only(rows: Vec<Row>) -> Option<User> {
    rows.into_iter().next().map(User::from)
}

fn no_such(id: i64) -> Problem {
    Problem::new(StatusCode::NOT_FOUND, format!("there is no user {id}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn there_and_back(layout: Layout, name: &str) -> String {
        let draft = Draft {
            name: name.to_owned(),
            email: None,
        };
        let name = layout
            .store(&draft.name().expect("a usable name"))
            .into_iter()
            .map(|value| match value {
                Value::Text(text) => text,
                Value::Number(number) => panic!("{number} is no part of a name"),
            })
            .collect();
        User::from(Row {
            id: 1,
            email: None,
            name,
        })
        .name
    }

    #[test]
    fn every_release_gives_back_the_same_name() {
        for (sent, got) in [
            ("Ada Lovelace", "Ada Lovelace"),
            ("Cher", "Cher"),
            ("Grace Brewster Hopper", "Grace Brewster Hopper"),
            ("  Alan\t Turing ", "Alan Turing"),
        ] {
            assert_eq!(there_and_back(Layout::FirstAndLast, sent), got);
            assert_eq!(there_and_back(Layout::Full, sent), got);
        }
    }

    #[test]
    fn statements_name_their_placeholders_in_order() {
        for layout in [Layout::FirstAndLast, Layout::Full] {
            let Statements {
                list,
                find,
                create,
                change,
            } = layout.statements();
            for sql in [list, find, create, change] {
                let numbers: Vec<u32> = sql
                    .split('$')
                    .skip(1)
                    .map(|rest| rest[..1].parse().unwrap())
                    .collect();
                assert_eq!(
                    numbers,
                    (1..=u32::try_from(numbers.len()).unwrap()).collect::<Vec<_>>(),
                    "{sql}"
                );
                assert!(!sql.contains('*'), "{sql}");
            }
        }
    }
}
