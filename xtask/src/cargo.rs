//! Running cargo and what it built.

use std::env;
use std::io::{self, BufRead, BufReader, IsTerminal, Write};
use std::path::PathBuf;
use std::process::{Command, ExitStatus, Stdio};

use anyhow::{Context, Result, bail};
use cargo_metadata::{Metadata, MetadataCommand};

use crate::repository::Repository;

/// What the outer `cargo run` set for this process. A build script that watches one of them would otherwise be
/// run again, and its crate built again, each time that the same build is started from here.
const OUTER: [&str; 5] = [
    "CARGO_PKG_",
    "CARGO_MANIFEST_",
    "CARGO_BIN_",
    "CARGO_CRATE_NAME",
    "CARGO_PRIMARY_PACKAGE",
];

/// `cargo ARGUMENTS` at the root, not yet started.
pub(crate) fn cargo<'a>(repository: &Repository, arguments: impl IntoIterator<Item = &'a str>) -> Command {
    let mut command = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.args(arguments).current_dir(repository.root());
    for (name, _) in env::vars_os() {
        if OUTER
            .iter()
            .any(|prefix| name.to_string_lossy().starts_with(prefix))
        {
            command.env_remove(name);
        }
    }
    command
}

/// Runs it in the open; anything but success is an error that names the command.
pub(crate) fn run(command: &mut Command) -> Result<()> {
    let shown = show(command);
    let status = command
        .status()
        .with_context(|| format!("cannot start `{shown}`"))?;
    expect_success(&shown, status)
}

/// Runs it in the open and also keeps its lines, stdout and stderr in the order they came.
pub(crate) fn run_keeping_lines(command: &mut Command) -> Result<(ExitStatus, Vec<String>)> {
    let shown = show(command);
    let (reader, writer) = io::pipe().context("cannot make a pipe")?;
    let second = writer.try_clone().context("cannot make a pipe")?;
    let mut child = command
        .stdin(Stdio::null())
        .stdout(writer)
        .stderr(second)
        .spawn()
        .with_context(|| format!("cannot start `{shown}`"))?;
    // The command keeps its ends of the pipe until it is gone or told otherwise; with them open there is no end to read to.
    command.stdout(Stdio::null()).stderr(Stdio::null());

    let mut lines = Vec::new();
    let mut reader = BufReader::new(reader);
    let mut line = Vec::new();
    while reader
        .read_until(b'\n', &mut line)
        .with_context(|| format!("cannot read from `{shown}`"))?
        > 0
    {
        let text = String::from_utf8_lossy(&line);
        print!("{text}");
        io::stdout().flush().context("cannot write to stdout")?;
        lines.push(without_colour(&text));
        line.clear();
    }
    let status = child
        .wait()
        .with_context(|| format!("cannot wait for `{shown}`"))?;
    Ok((status, lines))
}

/// Runs it quietly; what it printed on stdout when it succeeded.
pub(crate) fn stdout(command: &mut Command) -> Result<Option<String>> {
    let shown = show(command);
    let output = command
        .stdin(Stdio::null())
        .output()
        .with_context(|| format!("cannot start `{shown}`"))?;
    if !output.status.success() {
        return Ok(None);
    }
    let text = String::from_utf8(output.stdout)
        .with_context(|| format!("`{shown}` printed something that is not UTF-8"))?;
    Ok(Some(text))
}

/// Whether it can be run at all and says yes.
pub(crate) fn works(command: &mut Command) -> bool {
    command
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|status| status.success())
}

/// The workspace as cargo sees it, with the resolved graph.
pub(crate) fn metadata(repository: &Repository) -> Result<Metadata> {
    MetadataCommand::new()
        .manifest_path(repository.path("Cargo.toml"))
        .exec()
        .context("cannot ask cargo for the workspace")
}

/// Builds the product; where the binary is.
pub(crate) fn build_cutover(repository: &Repository) -> Result<PathBuf> {
    run(&mut cargo(
        repository,
        ["build", "--quiet", "--package", "cutover"],
    ))?;
    let target = metadata(repository)?.target_directory;
    Ok(target.join("debug").join("cutover").into_std_path_buf())
}

/// For tools whose output is read here before it is shown: they cannot see the terminal behind the pipe.
pub(crate) fn colour_choice() -> &'static str {
    if io::stdout().is_terminal() {
        "always"
    } else {
        "never"
    }
}

/// Turns an exit status into an error that names the command.
pub(crate) fn expect_success(shown: &str, status: ExitStatus) -> Result<()> {
    if !status.success() {
        bail!("`{shown}` ended with {status}");
    }
    Ok(())
}

/// The command as a person would type it.
pub(crate) fn show(command: &Command) -> String {
    let program = command.get_program().to_string_lossy();
    let mut words = vec![program.rsplit('/').next().unwrap_or(&program).to_owned()];
    words.extend(
        command
            .get_args()
            .map(|argument| argument.to_string_lossy().into_owned()),
    );
    words.join(" ")
}

fn without_colour(line: &str) -> String {
    let mut plain = String::with_capacity(line.len());
    let mut characters = line.trim_end().chars();
    while let Some(character) = characters.next() {
        if character == '\u{1b}' {
            // Up to the letter that ends the sequence.
            characters.by_ref().skip(1).find(char::is_ascii_alphabetic);
        } else {
            plain.push(character);
        }
    }
    plain
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn colour_is_taken_away() {
        assert_eq!(
            without_colour("\u{1b}[32;1m     Summary\u{1b}[0m [   1.0s]\n"),
            "     Summary [   1.0s]"
        );
        assert_eq!(without_colour("plain\n"), "plain");
    }

    #[test]
    fn lines_of_both_streams_are_kept_in_order() {
        let mut shell = Command::new("sh");
        shell.args(["-c", "echo one; echo two >&2; echo three; exit 3"]);
        let (status, lines) = run_keeping_lines(&mut shell).unwrap();
        assert_eq!(status.code(), Some(3));
        assert_eq!(lines, ["one", "two", "three"]);
    }

    #[test]
    fn a_command_is_shown_as_typed() {
        let mut command = Command::new("/somewhere/bin/cargo");
        command.args(["fmt", "--check"]);
        assert_eq!(show(&command), "cargo fmt --check");
    }
}
