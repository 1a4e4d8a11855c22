//! What every rule needs.

pub(super) use cutover_model::Severity;

pub(super) use crate::Dialect;
pub(super) use crate::command::Command;
pub(super) use crate::ddl::{Alter, Column, ConstraintKind, Ddl, DomainAction, Kind, Name, TypeName};
pub(super) use crate::lint::finding::Family;
pub(super) use crate::lint::look::Look;
pub(super) use crate::lint::rule::{ALL, EVERY, Effect, Example, LITE, Lifted, MONGO, MY, PG, Report, Rule};
pub(super) use crate::lint::version::ServerVersion;
