//! One rule a file: what it finds, why, the safe way, texts that it finds and leaves alone, and the check.
//!
//! A new one is a file here and a line in this list; the tests run its examples, and its page is generated from it.

pub(super) mod add_column_default;
pub(super) mod add_column_domain;
pub(super) mod add_column_json;
pub(super) mod add_column_not_null;
pub(super) mod add_column_serial;
pub(super) mod add_column_stored;
pub(super) mod add_column_volatile_default;
pub(super) mod attach_partition;
pub(super) mod change_type;
pub(super) mod check_constraint;
pub(super) mod concurrently_in_transaction;
pub(super) mod copy_table;
pub(super) mod copy_table_loss;
pub(super) mod create_index;
pub(super) mod create_trigger;
pub(super) mod delete_all;
pub(super) mod detach_partition;
pub(super) mod domain_constraint;
pub(super) mod drop_cascade;
pub(super) mod drop_column;
pub(super) mod drop_constraint;
pub(super) mod drop_default;
pub(super) mod drop_index;
pub(super) mod drop_not_null;
pub(super) mod drop_object;
pub(super) mod drop_schema;
pub(super) mod drop_table;
pub(super) mod duplicate_column;
pub(super) mod enum_value;
pub(super) mod exclusion_constraint;
pub(super) mod foreign_key;
pub(super) mod foreign_key_index;
pub(super) mod generated_always;
pub(super) mod lock_held;
pub(super) mod lock_table;
pub(super) mod lose_partition;
pub(super) mod mongo_delete_all;
pub(super) mod mongo_drop_collection;
pub(super) mod mongo_index_build;
pub(super) mod mongo_remove_field;
pub(super) mod mongo_rename_collection;
pub(super) mod mongo_unique_index;
pub(super) mod mongo_validator;
pub(super) mod mysql_algorithm;
pub(super) mod mysql_change_column;
pub(super) mod mysql_charset;
pub(super) mod mysql_check;
pub(super) mod mysql_column_position;
pub(super) mod mysql_default_expression;
pub(super) mod mysql_foreign_key;
pub(super) mod mysql_inline_references;
pub(super) mod mysql_invisible_column;
pub(super) mod mysql_not_null;
pub(super) mod mysql_partition;
pub(super) mod mysql_primary_key;
pub(super) mod mysql_rebuild;
pub(super) mod mysql_special_index;
pub(super) mod narrow_type;
pub(super) mod new_writes;
pub(super) mod not_understood;
pub(super) mod opaque;
mod prelude;
pub(super) mod primary_key;
pub(super) mod refresh_view;
pub(super) mod reindex;
pub(super) mod rename_column;
pub(super) mod rename_object;
pub(super) mod rename_table;
pub(super) mod rewrite_table;
pub(super) mod set_not_null;
pub(super) mod sqlite_add_column;
pub(super) mod suppression;
pub(super) mod tighten_access;
pub(super) mod truncate;
pub(super) mod uncommitted_transaction;
pub(super) mod unique_constraint;
pub(super) mod unique_key;
pub(super) mod update_all;
pub(super) mod vacuum_full;
pub(super) mod validate_same_transaction;

use super::rule::Rule;

/// All rules, by name.
pub const RULES: &[&Rule] = &[
    &add_column_default::RULE,
    &add_column_domain::RULE,
    &add_column_json::RULE,
    &add_column_not_null::RULE,
    &add_column_serial::RULE,
    &add_column_stored::RULE,
    &add_column_volatile_default::RULE,
    &attach_partition::RULE,
    &change_type::RULE,
    &check_constraint::RULE,
    &concurrently_in_transaction::RULE,
    &copy_table::RULE,
    &copy_table_loss::RULE,
    &create_index::RULE,
    &create_trigger::RULE,
    &delete_all::RULE,
    &detach_partition::RULE,
    &domain_constraint::RULE,
    &drop_cascade::RULE,
    &drop_column::RULE,
    &drop_constraint::RULE,
    &drop_default::RULE,
    &drop_index::RULE,
    &drop_not_null::RULE,
    &drop_object::RULE,
    &drop_schema::RULE,
    &drop_table::RULE,
    &duplicate_column::RULE,
    &enum_value::RULE,
    &exclusion_constraint::RULE,
    &foreign_key::RULE,
    &foreign_key_index::RULE,
    &generated_always::RULE,
    &lock_held::RULE,
    &lock_table::RULE,
    &lose_partition::RULE,
    &mongo_delete_all::RULE,
    &mongo_drop_collection::RULE,
    &mongo_index_build::RULE,
    &mongo_remove_field::RULE,
    &mongo_rename_collection::RULE,
    &mongo_unique_index::RULE,
    &mongo_validator::RULE,
    &mysql_algorithm::RULE,
    &mysql_change_column::RULE,
    &mysql_charset::RULE,
    &mysql_check::RULE,
    &mysql_column_position::RULE,
    &mysql_default_expression::RULE,
    &mysql_foreign_key::RULE,
    &mysql_inline_references::RULE,
    &mysql_invisible_column::RULE,
    &mysql_not_null::RULE,
    &mysql_partition::RULE,
    &mysql_primary_key::RULE,
    &mysql_rebuild::RULE,
    &mysql_special_index::RULE,
    &narrow_type::RULE,
    &new_writes::RULE,
    &not_understood::RULE,
    &opaque::RULE,
    &primary_key::RULE,
    &refresh_view::RULE,
    &reindex::RULE,
    &rename_column::RULE,
    &rename_object::RULE,
    &rename_table::RULE,
    &rewrite_table::RULE,
    &set_not_null::RULE,
    &sqlite_add_column::RULE,
    &suppression::RULE,
    &tighten_access::RULE,
    &truncate::RULE,
    &uncommitted_transaction::RULE,
    &unique_constraint::RULE,
    &unique_key::RULE,
    &update_all::RULE,
    &vacuum_full::RULE,
    &validate_same_transaction::RULE,
];
