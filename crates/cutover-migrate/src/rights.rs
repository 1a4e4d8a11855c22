//! Which right is missing, from what a server says when it refuses: the statement that a person with that right runs. Pure.

use cutover_sql::{quoted, ticked};

/// For PostgreSQL's insufficient_privilege (42501). Only its English messages name the object.
pub(crate) fn postgres(said: &str, sql: &str, user: &str) -> Option<String> {
    let said = said.split(';').next().unwrap_or_default();
    let user = quoted(user);
    if let Some(denied) = said.strip_prefix("permission denied for ") {
        let (kind, name) = denied.split_once(' ')?;
        let first = sql.split_whitespace().next().unwrap_or_default().to_uppercase();
        let (right, kind) = match kind {
            "schema" => ("USAGE, CREATE", "SCHEMA"),
            "database" => ("CREATE", "DATABASE"),
            "sequence" => ("USAGE", "SEQUENCE"),
            "function" | "procedure" => ("EXECUTE", "ROUTINE"),
            "table" | "view" | "relation" => (
                match first.as_str() {
                    "COPY" => "INSERT",
                    "SELECT" | "INSERT" | "UPDATE" | "DELETE" | "TRUNCATE" => first.as_str(),
                    _ => "ALL",
                },
                "TABLE",
            ),
            _ => return None,
        };
        return Some(format!("GRANT {right} ON {kind} {} TO {user}", quoted(name)));
    }
    let (kind, name) = said.strip_prefix("must be owner of ")?.split_once(' ')?;
    let kind = match kind {
        "table" | "relation" => "TABLE",
        "schema" => "SCHEMA",
        "sequence" => "SEQUENCE",
        "view" => "VIEW",
        "type" => "TYPE",
        _ => return None,
    };
    Some(format!("ALTER {kind} {} OWNER TO {user}", quoted(name)))
}

/// For MySQL and MariaDB: the message names the right. The account (`CURRENT_USER()`, `app@%`) is not the user that the
/// message names: that one has the client's host.
pub(crate) fn mysql(said: &str, database: &str, account: &str) -> Option<String> {
    let (right, _) = said.split_once(" command denied to user ")?;
    let (user, host) = account.rsplit_once('@')?;
    Some(format!(
        "GRANT {right} ON {}.* TO {}@{}",
        ticked(database),
        ticked(user),
        ticked(host)
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_missing_right_is_named() {
        for (said, sql, grant) in [
            (
                "permission denied for schema public",
                "CREATE TABLE t ()",
                Some("GRANT USAGE, CREATE ON SCHEMA \"public\" TO \"shop\""),
            ),
            (
                "permission denied for table users; ask",
                "update users set a = 1",
                Some("GRANT UPDATE ON TABLE \"users\" TO \"shop\""),
            ),
            (
                "must be owner of table users",
                "ALTER TABLE users ADD a int",
                Some("ALTER TABLE \"users\" OWNER TO \"shop\""),
            ),
            ("permission denied to create role", "CREATE ROLE a", None),
            ("keine Berechtigung für Schema public", "CREATE TABLE t ()", None),
        ] {
            assert_eq!(postgres(said, sql, "shop").as_deref(), grant, "{said}");
        }
        let said =
            "CREATE command denied to user 'app'@'localhost' for table `d`.`cutover_meta` (error 1142)";
        assert_eq!(
            mysql(said, "d", "app@%").unwrap(),
            "GRANT CREATE ON `d`.* TO `app`@`%`"
        );
        let said = "Access denied; you need the SUPER privilege";
        assert_eq!(mysql(said, "d", "app@%"), None);
    }
}
