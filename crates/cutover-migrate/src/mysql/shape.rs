//! What a database looks like, as one digest: DDL commits by itself, so whether a statement that was begun happened is
//! read from the database, not from the history.

use cutover_model::Digest;

use super::MysqlSession;
use crate::failure::Failure;
use crate::session::SqlSession as _;

/// All that DDL can change, but its own tables. Each query has one parameter, the database, and answers one column.
const PARTS: [&str; 9] = [
    "SELECT CONCAT_WS('|', 't', table_name, table_type, engine, row_format, table_collation, create_options,
        table_comment) FROM information_schema.tables
        WHERE table_schema = ?1 AND table_name NOT LIKE 'cutover\\_%'",
    "SELECT CONCAT_WS('|', 'c', table_name, column_name, ordinal_position, COALESCE(column_default, 'NULL'),
        is_nullable, column_type, collation_name, column_key, extra, column_comment, generation_expression)
        FROM information_schema.columns WHERE table_schema = ?1 AND table_name NOT LIKE 'cutover\\_%'",
    "SELECT CONCAT_WS('|', 'i', table_name, index_name, seq_in_index, column_name, COALESCE(sub_part, ''), non_unique,
        index_type) FROM information_schema.statistics
        WHERE table_schema = ?1 AND table_name NOT LIKE 'cutover\\_%'",
    "SELECT CONCAT_WS('|', 'k', table_name, constraint_name, column_name, COALESCE(referenced_table_name, ''),
        COALESCE(referenced_column_name, '')) FROM information_schema.key_column_usage
        WHERE table_schema = ?1 AND table_name NOT LIKE 'cutover\\_%'",
    "SELECT CONCAT_WS('|', 'r', table_name, constraint_name, update_rule, delete_rule)
        FROM information_schema.referential_constraints WHERE constraint_schema = ?1",
    "SELECT CONCAT_WS('|', 'x', constraint_name, check_clause) FROM information_schema.check_constraints
        WHERE constraint_schema = ?1",
    "SELECT CONCAT_WS('|', 'v', table_name, view_definition) FROM information_schema.views WHERE table_schema = ?1",
    "SELECT CONCAT_WS('|', 'g', trigger_name, action_timing, event_manipulation, event_object_table, action_statement)
        FROM information_schema.triggers WHERE trigger_schema = ?1",
    "SELECT CONCAT_WS('|', 'f', routine_type, routine_name, dtd_identifier, routine_definition)
        FROM information_schema.routines WHERE routine_schema = ?1",
];

impl MysqlSession {
    pub(super) async fn shape_of(&mut self, database: &str) -> Result<String, Failure> {
        let mut lines = Vec::new();
        for part in PARTS {
            let rows = self.rows(part, &[Some(database.to_owned())]).await?;
            lines.extend(rows.into_iter().flatten().flatten());
        }
        lines.sort_unstable();
        Ok(Digest::of(lines.join("\n").as_bytes()).to_string())
    }
}
