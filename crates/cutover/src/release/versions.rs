//! Which releases lie beside `cutover.yaml`: whoever mistypes a version is told which there are.

use std::path::{Path, PathBuf};

use cutover_model::{Diagnostic, Version};
use cutover_spec::{Application, Target};

use super::artifact::to_version;

/// That nothing of this version is there, where all that the file names of a version is missing.
pub(super) fn no_such(application: &Application, folder: &Path, version: &Version) -> Option<Diagnostic> {
    let places = places(application);
    let is_there = |place: &PathBuf| {
        let text = place.to_string_lossy().replace("{version}", &version.to_string());
        folder.join(text).exists()
    };
    if places.iter().any(is_there) {
        return None;
    }
    let first = places.first()?;
    let within = folder.join(first.parent().unwrap_or_else(|| Path::new("")));
    let within: PathBuf = within.components().collect();
    let found = Diagnostic::error(
        "release.no-such-version",
        format!("there is no release {version}"),
    );
    let known = versions(&within, &first.file_name()?.to_string_lossy());
    let known = if known.is_empty() {
        format!("none in {}", within.display())
    } else {
        let known: Vec<String> = known.iter().map(ToString::to_string).collect();
        known.join(", ")
    };
    Some(
        found
            .note("there are", known)
            .help(format!("ls {}", within.display())),
    )
}

/// Every path of the file that holds `{version}`, up to the part that does.
fn places(application: &Application) -> Vec<PathBuf> {
    let mut places = Vec::new();
    for service in application.services.values() {
        let Target::Process(target) = &service.target;
        let directory = target.directory.as_deref().unwrap_or_default();
        let words = target.command.iter().filter(|word| word.contains('/'));
        let words = words.map(|word| Path::new(directory).join(word));
        let paths = words.chain(target.directory.iter().map(PathBuf::from));
        places.extend(paths.filter_map(|path| {
            let text = path.to_str()?;
            to_version(text, text)
        }));
    }
    let migrations = application.databases.values();
    let migrations = migrations.filter_map(|database| database.migrations.as_ref());
    places.extend(migrations.filter_map(|path| to_version(path, path)));
    places
}

/// The versions in a folder, in order, whose names are as this one with `{version}` in it.
fn versions(folder: &Path, name: &str) -> Vec<Version> {
    let (before, after) = name.split_once("{version}").unwrap_or((name, ""));
    let Ok(entries) = std::fs::read_dir(folder) else {
        return Vec::new();
    };
    let mut versions: Vec<Version> = entries
        .filter_map(|entry| {
            let name = entry.ok()?.file_name();
            let name = name.to_str()?.strip_prefix(before)?.strip_suffix(after)?;
            name.parse().ok()
        })
        .collect();
    versions.sort();
    versions.dedup();
    versions
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_version_that_is_not_there_is_told_with_those_that_are() {
        let folder = tempfile::tempdir().unwrap();
        let folder = folder.path();
        let text = "apiVersion: cutover/v1\napplication: shop\ndatabases:\n  main: {url: \"sqlite:x\", migrations: \
                    \"./releases/{version}/migrations\"}\nservices:\n  api:\n    target: {process: {command: [python3, \
                    \"./releases/{version}/main.py\"]}}\n";
        let application = cutover_spec::parse("cutover.yaml", text).unwrap();
        let of = |version: &str| no_such(&application, folder, &version.parse().unwrap());
        let found = of("1.0.0").unwrap();
        assert_eq!(found.code, "release.no-such-version");
        assert!(found.notes[0].1.starts_with("none in "), "{found:?}");
        for version in ["1.10.0", "1.9.0", "current"] {
            std::fs::create_dir_all(folder.join("releases").join(version)).unwrap();
        }
        assert_eq!(of("9.9.9").unwrap().notes[0].1, "1.9.0, 1.10.0");
        // What is missing in a release that is there is told by its own name.
        assert_eq!(of("1.9.0"), None);
    }
}
