//! The reference of the command line: every command's own help, one after the other.

use std::fmt::Write as _;

use anyhow::Result;

use crate::repository::Repository;

use super::product::Product;

pub(super) const PATH: &str = "docs/reference/cli.md";

const HEAD: &str = "\
<!-- Made by `cargo xtask generate` from the commands' own help. -->
# Command line
";

pub(super) fn make(_: &Repository, product: &Product<'_>) -> Result<Option<String>> {
    let Some(help) = product.says(&["--help"])? else {
        return Ok(None);
    };
    let mut page = HEAD.to_owned();
    write_command(&mut page, product, &[], &help)?;
    Ok(Some(page))
}

/// This command, then those below it.
fn write_command(page: &mut String, product: &Product<'_>, path: &[&str], help: &str) -> Result<()> {
    let title = [&["cutover"], path].concat().join(" ");
    let help: Vec<_> = help.trim_end().lines().map(str::trim_end).collect();
    write!(page, "\n## `{title}`\n\n```text\n{}\n```\n", help.join("\n"))?;

    for name in names(&help) {
        let below = [path, &[name]].concat();
        let arguments = [below.as_slice(), &["--help"]].concat();
        // A word that only looks like a command is an argument of this one, and the help is its own again.
        let usage = format!("Usage: {title} {name}");
        if let Some(help) = product.says(&arguments)?.filter(|help| help.contains(&usage)) {
            write_command(page, product, &below, &help)?;
        }
    }
    Ok(())
}

/// Words that begin a line at the first indentation: commands, whatever the headings above them are.
fn names<'a>(help: &[&'a str]) -> Vec<&'a str> {
    let mut names = Vec::new();
    for line in help {
        let Some(entry) = line.strip_prefix("  ") else {
            continue;
        };
        let name = entry.split([' ', ',']).next().unwrap_or(entry);
        let shaped = name.starts_with(|c: char| c.is_ascii_lowercase())
            && name
                .chars()
                .all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-');
        if shaped && name != "help" && !names.contains(&name) {
            names.push(name);
        }
    }
    names
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_under_any_heading() {
        let help = "Takes an application along\n\nUsage: cutover <COMMAND>\n\nUpgrades:\n  plan       Show\n  \
                    upgrade    Do\n               more about it\n\nOther:\n  help       Print\n  proxy-run\n\nOptions:\n  \
                    -h, --help  Print help\n      --yes     Do not ask\n";
        let lines: Vec<_> = help.lines().collect();
        assert_eq!(names(&lines), ["plan", "upgrade", "proxy-run"]);
    }
}
