//! Every command that the sources and the documentation tell a person is one that there is: it is read as it would be typed.

use std::path::{Path, PathBuf};

use clap::CommandFactory as _;
use clap::error::ErrorKind;

use super::Cli;

/// What a placeholder may stand for: a version, a number, a name, one of a few words, another option, nothing at all.
const VALUES: [&str; 11] = [
    "1.0.0",
    "1",
    "main",
    "file",
    "expand",
    "flyway",
    "users.a:b",
    "users.a:b:c",
    "10s",
    " --to 1",
    "",
];

/// Before it stands a word that a sentence has before a command.
const BEFORE: [&str; 6] = ["`", ": ", "or ", ", ", "; ", ":  "];

/// Begins like a command and is the name of something.
const NAMES: [&str; 2] = ["cutover of ", "cutover {engine}"];

/// One command with the place where it is told.
struct Told {
    place: String,
    command: String,
    kind: Kind,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// To be run as it is, or with its placeholders filled in.
    Whole,
    /// What follows it in its line may be the rest of a sentence.
    InSentence,
    /// It is spoken of: "`cutover plan` shows"; what it needs may be left out.
    SpokenOf,
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

fn files(folder: &Path, extension: &str, found: &mut Vec<PathBuf>) {
    let mut entries: Vec<_> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    entries.sort();
    for path in entries {
        if path.is_dir() {
            files(&path, extension, found);
        } else if path.extension().is_some_and(|it| it == extension) {
            found.push(path);
        }
    }
}

/// The texts of a source, without those of its tests and comments; a text that goes on in the next line is one.
fn literals(source: &str) -> Vec<(usize, String)> {
    let source = source.split("\n#[cfg(test)]\nmod tests").next().unwrap_or(source);
    let mut all = Vec::new();
    let mut rest = source;
    let mut line = 1;
    while let Some(at) = rest.find(['"', '/', '\'']) {
        line += rest[..at].matches('\n').count();
        let before = &rest[..at];
        rest = &rest[at..];
        if rest.starts_with("//") {
            rest = &rest[rest.find('\n').unwrap_or(rest.len())..];
        } else if rest.starts_with("'\"'") || rest.starts_with("'/'") {
            rest = &rest[3..];
        } else if rest.starts_with("'\\\"'") {
            rest = &rest[4..];
        } else if rest.starts_with('"') {
            let hashes = before.len() - before.trim_end_matches('#').len();
            let is_raw = before[..before.len() - hashes].ends_with('r');
            let end = format!("\"{}", "#".repeat(if is_raw { hashes } else { 0 }));
            let mut from = 1;
            let length = loop {
                let Some(found) = rest[from..].find(&end) else {
                    return all;
                };
                let escapes = rest[..from + found].len() - rest[..from + found].trim_end_matches('\\').len();
                if is_raw || escapes.is_multiple_of(2) {
                    break from + found;
                }
                from += found + 1;
            };
            all.push((line, unescaped(&rest[1..length], is_raw)));
            line += rest[..length].matches('\n').count();
            rest = &rest[length + end.len()..];
        } else {
            rest = &rest[1..];
        }
    }
    all
}

fn unescaped(text: &str, is_raw: bool) -> String {
    if is_raw {
        return text.to_owned();
    }
    let mut lines = text.split("\\\n");
    let mut whole = lines.next().unwrap_or_default().to_owned();
    for line in lines {
        whole.push_str(line.trim_start());
    }
    whole
        .replace("\\n", "\n")
        .replace("\\\"", "\"")
        .replace("\\'", "'")
}

/// The commands in a text of the program.
fn commands(place: &str, text: &str) -> Vec<Told> {
    let mut all = Vec::new();
    for line in text.lines() {
        for (at, _) in line.match_indices("cutover ") {
            let before = &line[..at];
            let in_backticks = before.ends_with('`');
            let begins = before.trim().is_empty() || BEFORE.iter().any(|it| before.ends_with(it));
            let is_beginning = line[at..].ends_with(' ');
            if !begins || is_beginning || NAMES.iter().any(|name| line[at..].starts_with(name)) {
                continue;
            }
            let ends: &[&str] = if in_backticks {
                &["`"]
            } else {
                &["`", ", or ", ", ", "; ", "…"]
            };
            let rest = &line[at..];
            let end = ends
                .iter()
                .filter_map(|end| rest.find(end))
                .min()
                .unwrap_or(rest.len());
            all.push(Told {
                place: place.to_owned(),
                command: rest[..end].to_owned(),
                kind: if in_backticks {
                    Kind::Whole
                } else {
                    Kind::InSentence
                },
            });
        }
    }
    all
}

/// The commands in the shell's blocks of a page, and between its backticks.
fn commands_of_page(place: &str, page: &str) -> Vec<Told> {
    let mut all = Vec::new();
    let mut fence = None;
    // A line that goes on in the next one is told by its number at the end.
    let mut begun = String::new();
    for (number, line) in page.lines().enumerate() {
        let place = format!("{place}:{}", number + 1);
        if let Some(kind) = line.trim_start().strip_prefix("```") {
            fence = fence.is_none().then(|| kind.to_owned());
            continue;
        }
        let mut add = |command: &str, kind: Kind| {
            all.push(Told {
                place: place.clone(),
                command: command.to_owned(),
                kind,
            });
        };
        if let Some(begin) = line.strip_suffix('\\').filter(|_| fence.is_some()) {
            begun.push_str(begin);
            continue;
        }
        let line = &format!("{}{line}", std::mem::take(&mut begun));
        match fence.as_deref() {
            Some("sh") => {
                let line = line.split(" #").next().unwrap_or_default();
                let parts = line.split(['|', '<', '>', ';', '&']).map(str::trim);
                parts
                    .filter(|part| part.starts_with("cutover "))
                    .for_each(|part| add(part, Kind::Whole));
            }
            Some(_) => {}
            None => {
                let code = line.split('`').skip(1).step_by(2);
                code.filter(|code| code.starts_with("cutover "))
                    .flat_map(choices)
                    .for_each(|code| add(&code, Kind::SpokenOf));
            }
        }
    }
    all
}

/// With each of what may be there, one at a time, and the first of what it may be: `[--to NUMBER \| --steps N] [--all]`.
fn choices(code: &str) -> Vec<String> {
    let mut text = code.to_owned();
    while let Some(at) = text.find(['|', '…']) {
        let before = text[..at].trim_end_matches('\\');
        let ends: &[char] = if before.ends_with(' ') {
            &[']']
        } else {
            &[']', ' ']
        };
        let from = before.trim_end().len();
        let to = text[at..].find(ends).map_or(text.len(), |end| at + end);
        text.replace_range(from..to, "");
    }
    let parts: Vec<&str> = text.split(['[', ']']).collect();
    let optional = (1..parts.len()).step_by(2);
    let with = |chosen: usize| {
        let kept = |at: usize| at.is_multiple_of(2) || at == chosen;
        parts
            .iter()
            .enumerate()
            .filter(|(at, _)| kept(*at))
            .map(|(_, part)| *part)
            .collect()
    };
    std::iter::once(0).chain(optional).map(with).collect()
}

/// As a shell makes words of it.
fn words(command: &str) -> Vec<String> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut quote = None;
    for c in command.chars() {
        match quote {
            Some(open) if c == open => quote = None,
            Some(_) => word.get_or_insert_default().push(c),
            None if c == '"' || c == '\'' => {
                quote = Some(c);
                word.get_or_insert_default();
            }
            None if c.is_whitespace() => words.extend(word.take()),
            None => word.get_or_insert_default().push(c),
        }
    }
    words.extend(word);
    words
}

/// `{}` and `{name}`, and words in capitals.
fn placeholder(command: &str) -> Option<std::ops::Range<usize>> {
    if let Some(from) = command.find('{').filter(|from| command[*from..].contains('}')) {
        return Some(from..from + command[from..].find('}')? + 1);
    }
    let is_letter = |c: char| c.is_ascii_uppercase() || c == '_';
    let mut at = 0;
    for word in command.split(|c: char| !is_letter(c)) {
        let alone = !command[..at].ends_with(|c: char| c.is_ascii_alphanumeric())
            && !command[at + word.len()..].starts_with(|c: char| c.is_ascii_alphanumeric());
        if !word.is_empty() && alone {
            return Some(at..at + word.len());
        }
        at += word.len() + 1;
    }
    None
}

/// Why a command is none, whatever its placeholders stand for.
fn refused(program: &mut clap::Command, command: &str) -> Option<clap::Error> {
    let Some(at) = placeholder(command) else {
        let found = program.try_get_matches_from_mut(words(command)).err()?;
        let is_answer = matches!(found.kind(), ErrorKind::DisplayHelp | ErrorKind::DisplayVersion);
        return (!is_answer).then_some(found);
    };
    let mut last = None;
    for value in VALUES {
        let filled = format!("{}{value}{}", &command[..at.start], &command[at.end..]);
        last = Some(refused(program, &filled)?);
    }
    last
}

/// The same of one that may be followed by the rest of a sentence, in which no option stands.
fn refused_in_sentence(program: &mut clap::Command, command: &str) -> Option<clap::Error> {
    let whole = refused(program, command)?;
    let mut shorter = command.trim_end_matches(['.', ')', ',', '?']);
    while refused(program, shorter).is_some() {
        match shorter.rsplit_once(' ') {
            Some((before, last)) if !last.starts_with('-') => shorter = before,
            _ => return Some(whole),
        }
    }
    None
}

/// The same of one that is spoken of: it need not be whole, and its values may be words.
fn refused_in_prose(program: &mut clap::Command, command: &str) -> Option<clap::Error> {
    let found = refused(program, command)?;
    let is_short = matches!(
        found.kind(),
        ErrorKind::MissingRequiredArgument
            | ErrorKind::InvalidValue
            | ErrorKind::ValueValidation
            | ErrorKind::MissingSubcommand
            | ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand
    );
    (!is_short).then_some(found)
}

fn wrong(told: &[Told]) -> Vec<String> {
    let mut program = Cli::command();
    let refused = |told: &Told| {
        let found = match told.kind {
            Kind::Whole => refused(&mut program, &told.command),
            Kind::InSentence => refused_in_sentence(&mut program, &told.command),
            Kind::SpokenOf => refused_in_prose(&mut program, &told.command),
        }?;
        let reason = found.to_string().lines().take(2).collect::<String>();
        Some(format!("{}: {}\n    {reason}", told.place, told.command))
    };
    told.iter().filter_map(refused).collect()
}

/// Each is a command, and there are as many as there must be where they were looked for in the right way.
fn all_are_there(told: &[Told]) {
    assert!(told.len() > 150, "{}", told.len());
    let wrong = wrong(told);
    let (count, all) = (wrong.len(), wrong.join("\n"));
    assert!(wrong.is_empty(), "{count} of {}:\n{all}", told.len());
}

#[test]
fn commands_of_the_sources_are_there() {
    let mut sources = Vec::new();
    files(&root().join("crates"), "rs", &mut sources);
    let mut told = Vec::new();
    for path in sources {
        let shown = path.strip_prefix(root()).unwrap().display().to_string();
        let ships = shown.contains("/src/") && !shown.ends_with("/tests.rs") && !shown.contains("/tests/");
        if !ships || shown.contains("/fixtures/") || shown.ends_with("cli/told.rs") {
            continue;
        }
        for (line, text) in literals(&std::fs::read_to_string(&path).unwrap()) {
            told.extend(commands(&format!("{shown}:{line}"), &text));
        }
    }
    for one in &told {
        let piped = one.command.contains(['|', '<', '>', '&', '$']);
        assert!(
            !piped,
            "{}: a shell reads this otherwise: {}",
            one.place, one.command
        );
    }
    all_are_there(&told);
}

#[test]
fn commands_of_the_documentation_are_there() {
    let mut pages = vec![root().join("README.md")];
    files(&root().join("docs"), "md", &mut pages);
    let mut told = Vec::new();
    for path in pages {
        // This one is made from the commands themselves.
        if !path.ends_with("reference/cli.md") {
            let shown = path.strip_prefix(root()).unwrap().display().to_string();
            told.extend(commands_of_page(&shown, &std::fs::read_to_string(&path).unwrap()));
        }
    }
    all_are_there(&told);
}

#[test]
fn what_is_no_command_is_found() {
    let is_wrong = |text: &str| !wrong(&commands("here", text)).is_empty();
    for text in [
        "cutover upgrad 1.0.0",
        "cutover migrate",
        "cutover migrate up --relase 1.0.0",
        "then: cutover resum",
        "it goes on; cutover migrate up --stepz 1 goes on",
        "by `cutover rollback --back`",
        "cutover migrate repair --only {id} --as nothing",
        "cutover approve, or cutover abrot",
    ] {
        assert!(is_wrong(text), "{text}");
    }
    for text in [
        "cutover upgrade {version} --adopt",
        "cutover migrate up goes on",
        "the state has format 3, this cutover knows up to 2",
        "cutover migrate repair --only {id} --as file",
        "cutover history show --analysis",
    ] {
        assert!(!is_wrong(text), "{text}");
    }
    let page = "`cutover migrate up [--to NUMBER \\| --steps N] [--al]`\n```sh\ncutover migrate up \\\n  --steps 1 > x  # no\n```\n";
    let told = commands_of_page("p", page);
    let all: Vec<&str> = told.iter().map(|told| told.command.as_str()).collect();
    assert_eq!(
        all,
        [
            "cutover migrate up  ",
            "cutover migrate up --to NUMBER ",
            "cutover migrate up  --al",
            "cutover migrate up   --steps 1"
        ]
    );
    assert_eq!(wrong(&told).len(), 1);
    let source = "let a = \"cutover \\\n    upgrad\"; // \"cutover no\"\nlet b = r#\"x \"cutover\" y\"#;";
    assert_eq!(
        literals(source),
        [
            (1, "cutover upgrad".to_owned()),
            (3, "x \"cutover\" y".to_owned())
        ]
    );
}
