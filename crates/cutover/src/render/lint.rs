//! The rules of the linter, as text: a list, a page each, and the page of the documentation.

use std::fmt::Write as _;

use cutover_model::Severity;
use cutover_sql::lint::{Example, Lifted, Rule};

const fn weight(severity: Severity) -> &'static str {
    match severity {
        Severity::Error => "error",
        Severity::Warning => "warning",
        Severity::Note => "note",
    }
}

/// One line a rule.
pub(crate) fn rule_list(rules: &[&Rule]) -> String {
    let wide = rules.iter().map(|rule| rule.id.len()).max().unwrap_or(0);
    rules.iter().fold(String::new(), |mut out, rule| {
        let _ = writeln!(
            out,
            "{:wide$}  {:<11}  {:<7}  {}",
            rule.id,
            rule.family.word(),
            weight(rule.severity),
            rule.summary
        );
        out
    })
}

/// One rule, whole.
pub(crate) fn rule_page(rule: &Rule) -> String {
    let mut out = format!("# {}\n\n{}.\n\n", rule.id, capital(rule.summary));
    body(&mut out, rule);
    out
}

fn capital(text: &str) -> String {
    let mut letters = text.chars();
    letters
        .next()
        .map_or_else(String::new, |first| first.to_uppercase().chain(letters).collect())
}

fn body(out: &mut String, rule: &Rule) {
    let _ = writeln!(out, "{}\n\nInstead: {}.", rule.why, rule.safe);
    if rule.lifted == Lifted::Contract {
        let _ = writeln!(
            out,
            "\nIn a contract it is a note: nothing of the old version is left."
        );
    }
    for (title, examples) in [("Found", rule.bad), ("Not found", rule.good)] {
        if examples.is_empty() {
            continue;
        }
        let _ = write!(out, "\n{title}:\n\n```sql\n");
        for Example { dialect, setup, sql } in examples {
            let _ = write!(out, "-- {}", dialect.word());
            if !setup.is_empty() {
                let _ = write!(out, ", after: {}", one_line(setup));
            }
            let _ = write!(out, "\n{}\n", one_line_keeping_comments(sql));
        }
        let _ = writeln!(out, "```");
    }
}

fn one_line(sql: &str) -> String {
    sql.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// A header comment keeps its line.
fn one_line_keeping_comments(sql: &str) -> String {
    match sql.split_once('\n') {
        Some((head, rest)) if head.starts_with("--") => format!("{head}\n{}", one_line(rest)),
        _ => one_line(sql),
    }
}

/// All rules: a table, then each.
pub(crate) fn rules_page(rules: &[&Rule]) -> String {
    let mut out = "<!-- Made by `cargo xtask generate` from the rules themselves. -->\n# Rules of the linter\n\n\
        What `cutover migrate lint` looks for. Lock, rewrite and scan are what the rule's first example does on PostgreSQL: \
        *measured* where a test sees it on a server, *documented* where the servers' manuals or the meaning of the statement say \
        what the rule stands on; a dash is what no lock shows.\n\n\
        | rule | family | weight | databases | lock | rewrite | scan | known |\n| --- | --- | --- | --- | --- | --- | --- | --- |\n"
        .to_owned();
    for rule in rules {
        let databases: Vec<&str> = rule.dialects.iter().map(|dialect| dialect.word()).collect();
        let yes = |flag| if flag { "yes" } else { "no" };
        let (lock, rewrite, scan, known) = rule.effect.map_or(("—", "—", "—", "documented"), |effect| {
            (effect.lock, yes(effect.rewrite), yes(effect.scan), "measured")
        });
        let _ = writeln!(
            out,
            "| [{id}](#{id}) | {} | {} | {} | {lock} | {rewrite} | {scan} | {known} |",
            rule.family.word(),
            weight(rule.severity),
            databases.join(", "),
            id = rule.id,
        );
    }
    for rule in rules {
        let _ = write!(out, "\n## {}\n\n{}.\n\n", rule.id, capital(rule.summary));
        body(&mut out, rule);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use cutover_sql::lint::RULES;

    #[test]
    fn a_page_tells_why_and_what_instead() {
        let rule = RULES.iter().find(|rule| rule.id == "create-index").unwrap();
        let page = rule_page(rule);
        for part in [
            "# create-index",
            "CONCURRENTLY",
            "Instead: ",
            "Found:",
            "Not found:",
        ] {
            assert!(page.contains(part), "{part}: {page}");
        }
        assert_eq!(rule_list(RULES).lines().count(), RULES.len());
    }
}
