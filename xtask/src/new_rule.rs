//! `cargo xtask new-rule NAME`: the file of a rule of the linter, and its lines in the list.
//!
//! A rule is one file: what it finds, why, the safe way, examples that are its tests, and the check; its page is generated
//! from it. What is written here finds nothing yet, so its own example fails until the check is there.

use std::path::Path;

use anyhow::{Context, Result, ensure};
use clap::Args;

use crate::repository::Repository;

const FOLDER: &str = "crates/cutover-sql/src/lint/rules";

/// What the rule is called.
#[derive(Args)]
pub(crate) struct Options {
    /// Its name: `drop-column`
    name: String,
}

pub(crate) fn run(repository: &Repository, options: &Options) -> Result<()> {
    let name = options.name.as_str();
    let plain = name.split('-').all(|word| {
        !word.is_empty()
            && word
                .bytes()
                .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit())
    });
    ensure!(
        plain,
        "`{name}` is no name of a rule: words in lower case with `-` between, as drop-column"
    );
    let folder = repository.root().join(FOLDER);
    let module = name.replace('-', "_");
    let file = folder.join(format!("{module}.rs"));
    ensure!(!file.exists(), "{} is there already", file.display());
    let list = folder.join("mod.rs");
    let text = std::fs::read_to_string(&list).with_context(|| format!("cannot read {}", list.display()))?;
    let text = with_line(&text, "pub(super) mod ", &format!("pub(super) mod {module};"))?;
    let text = with_line(&text, "    &", &format!("    &{module}::RULE,"))?;
    write(&file, &skeleton(name))?;
    write(&list, &text)?;
    println!("Wrote {}. What to do now:", file.display());
    println!("  say in it what is found, and write the check:  cargo nextest run -p cutover-sql rules_find");
    println!("  add lines to crates/cutover-sql/tests/verdicts, and make its page:  cargo xtask generate");
    Ok(())
}

fn write(path: &Path, text: &str) -> Result<()> {
    std::fs::write(path, text).with_context(|| format!("cannot write {}", path.display()))
}

/// A line put where it belongs among those that begin alike, which are in order.
fn with_line(text: &str, prefix: &str, line: &str) -> Result<String> {
    let mut lines: Vec<&str> = text.lines().collect();
    let at = lines
        .iter()
        .position(|one| one.starts_with(prefix) && *one > line)
        .or_else(|| {
            lines
                .iter()
                .rposition(|one| one.starts_with(prefix))
                .map(|last| last + 1)
        })
        .with_context(|| format!("no line begins with `{prefix}`"))?;
    lines.insert(at, line);
    Ok(lines.join("\n") + "\n")
}

fn skeleton(name: &str) -> String {
    format!(
        r#"//! What it is about, in a line.

use super::prelude::*;

pub(crate) const RULE: Rule = Rule {{
    id: "{name}",
    family: Family::Lock,
    severity: Severity::Warning,
    dialects: PG,
    lifted: Lifted::Never,
    summary: "what it finds",
    why: "What happens, and to whom.",
    safe: "what to do instead",
    effect: None,
    bad: &[Example::pg("what it finds")],
    good: &[Example::pg("SELECT 1;")],
    check,
}};

fn check(look: &Look<'_>, report: &mut Report) {{
    for (table, action) in look.actions() {{
        let _ = (table, action, &mut *report);
    }}
}}
"#
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_goes_where_it_belongs() {
        let list = "//! Rules.\n\npub(super) mod a;\npub(super) mod c;\nmod prelude;\n";
        let put = |line: &str| with_line(list, "pub(super) mod ", line).unwrap();
        assert_eq!(
            put("pub(super) mod b;"),
            "//! Rules.\n\npub(super) mod a;\npub(super) mod b;\npub(super) mod c;\nmod prelude;\n"
        );
        assert!(put("pub(super) mod d;").contains("mod c;\npub(super) mod d;\nmod prelude;"));
        assert!(with_line(list, "    &", "    &b::RULE,").is_err());
    }

    #[test]
    fn what_is_written_has_the_name() {
        assert!(skeleton("drop-moon").contains("id: \"drop-moon\""));
    }
}
