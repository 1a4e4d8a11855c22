//! Commands of hints that name files, as they are pasted where `cutover.yaml` is: with the folder of each.

use std::path::{Path, PathBuf};

use cutover_model::{Diagnostic, Version};

use crate::context::Context;
use crate::render::quoted;

/// Words that files are named behind.
const COMMANDS: [&str; 4] = ["mv ", "rm ", "sed ", "cutover migrate lint "];
/// What files of migrations end in, and their settings.
const ENDS: [&str; 4] = [".sql", ".json", ".conf", ".SQL"];

/// A finding of a file, in the folder that it lies in.
pub(crate) fn in_folder(found: &mut Diagnostic, place: &str) {
    let folder: PathBuf = Path::new(place).components().collect();
    if let Some(location) = &mut found.location {
        let whole: PathBuf = folder.join(&location.file).components().collect();
        location.file = whole.to_string_lossy().into_owned();
    }
    let folder = folder.to_string_lossy();
    for (_, text) in &mut found.notes {
        *text = with_folder(text, &folder);
    }
    if let Some(help) = &mut found.help {
        *help = with_folder(help, &folder);
    }
}

/// Findings whose file has no folder yet get the one that it is in, where that is clear.
pub(crate) fn place(ctx: &Context, version: Option<&Version>, found: &mut [Diagnostic]) {
    let Ok(application) = ctx.application() else {
        return;
    };
    let at = version.map(|version| application.at_version(version));
    let databases = at.as_ref().map_or(&application.databases, |at| &at.databases);
    let places: Vec<&String> = databases
        .values()
        .filter_map(|one| one.migrations.as_ref())
        .collect();
    for one in found {
        let Some(location) = one
            .location
            .as_ref()
            .filter(|location| !location.file.contains('/'))
        else {
            continue;
        };
        let is_there = |place: &&&String| ctx.folder().join(place).join(&location.file).is_file();
        let mut there = places.iter().filter(is_there);
        if let (Some(place), None) = (there.next(), there.next()) {
            in_folder(one, place);
        }
    }
}

/// The files that a command names, each with its folder.
fn with_folder(text: &str, folder: &str) -> String {
    let Some(begin) = COMMANDS.iter().filter_map(|command| text.find(command)).min() else {
        return text.to_owned();
    };
    // In the middle of a sentence it begins behind a colon.
    let (said, command) = text.split_at(begin);
    if !said.is_empty() && !said.ends_with(": ") && !said.ends_with("&& ") {
        return text.to_owned();
    }
    let folder = quoted(folder);
    let word = |word: &str| {
        let bare = word.trim_end_matches(',').trim_matches('\'');
        let is_file = !bare.contains('/') && ENDS.iter().any(|end| bare.ends_with(end));
        if is_file || word == ".." {
            format!("{folder}/{word}")
        } else {
            word.to_owned()
        }
    };
    let words: Vec<String> = words(command).into_iter().map(word).collect();
    format!("{said}{}", words.join(" "))
}

/// Divided at blanks that stand in no quotes.
fn words(text: &str) -> Vec<&str> {
    let (mut out, mut from, mut quoted) = (Vec::new(), 0, false);
    for (at, c) in text.char_indices() {
        match c {
            '\'' => quoted = !quoted,
            ' ' if !quoted => {
                out.push(&text[from..at]);
                from = at + 1;
            }
            _ => {}
        }
    }
    out.push(&text[from..]);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_of_a_command_are_named_with_their_folder() {
        for (text, expected) in [
            (
                "mv V1.2__x.sql V1002__x.sql",
                "mv ./m/V1.2__x.sql ./m/V1002__x.sql",
            ),
            ("mv 'a b.sql' 001_a.up.sql", "mv ./m/'a b.sql' ./m/001_a.up.sql"),
            ("mv beforeMigrate.sql ..", "mv ./m/beforeMigrate.sql ./m/.."),
            ("rm 001_a.down.sql", "rm ./m/001_a.down.sql"),
            (
                "mv 1_a.up.sql 2_a.up.sql && mv 1_a.down.sql 2_a.down.sql, once 1_b is back",
                "mv ./m/1_a.up.sql ./m/2_a.up.sql && mv ./m/1_a.down.sql ./m/2_a.down.sql, once 1_b is back",
            ),
            (
                "and 2_b is applied nowhere: mv 2_b.up.sql 1_b.up.sql",
                "and 2_b is applied nowhere: mv ./m/2_b.up.sql ./m/1_b.up.sql",
            ),
            (
                "sed '1,/^-- x y/d' a.up.sql > a.down.sql",
                "sed '1,/^-- x y/d' ./m/a.up.sql > ./m/a.down.sql",
            ),
            (
                "cutover migrate lint --fix FOLDER a.up.sql",
                "cutover migrate lint --fix FOLDER ./m/a.up.sql",
            ),
            (
                "what stands below belongs into a.down.sql",
                "what stands below belongs into a.down.sql",
            ),
            ("git log -- '*_t3.*'", "git log -- '*_t3.*'"),
        ] {
            assert_eq!(with_folder(text, "./m"), expected);
        }
        assert_eq!(with_folder("rm a.sql", "my files"), "rm 'my files'/a.sql");
    }
}
