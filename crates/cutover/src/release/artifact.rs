//! What a service runs, as a digest: the release's folder where the command names one, and every other file that it names.

use std::path::{Component, Path, PathBuf};

use cutover_model::{Diagnostic, Digest, ServiceName};
use cutover_spec::{Artifact, ProcessTarget, ReleaseFolder};

use super::tree::{TreeError, of_file, of_tree};

/// The program that a command names, when it names one by a path. Others are looked for in PATH when they are started.
pub(crate) fn program(folder: &Path, target: &ProcessTarget) -> Option<PathBuf> {
    let name = target.command.first()?;
    name.contains('/').then(|| place(folder, target).join(name))
}

/// Where the command's relative paths begin.
fn place(folder: &Path, target: &ProcessTarget) -> PathBuf {
    match &target.directory {
        Some(directory) => folder.join(directory),
        None => folder.to_owned(),
    }
}

/// What a target runs. `written` is as in the file, `target` with `{version}` put in; `stored` are folders that are kept with
/// the release themselves.
///
/// Where `directory` or a word of the command is a path with `{version}` in it, the folder that this part of the path
/// names counts with all that is in it: what a program loads besides its first file is seen as well. Any other word that
/// names a file counts by the file's bytes, so that a path that merely holds the version is no change; the rest count as
/// they stand, so that `image:{version}` is one.
pub(crate) fn artifact(
    folder: &Path,
    service: &ServiceName,
    written: &ProcessTarget,
    target: &ProcessTarget,
    stored: &[PathBuf],
) -> Result<Artifact, Diagnostic> {
    let mut folders: Vec<ReleaseFolder> = Vec::new();
    for path in release_folders(folder, written, target) {
        let within = |known: &ReleaseFolder| path.starts_with(folder.join(&known.path));
        if folders.iter().any(within) {
            continue;
        }
        let apart = stored.iter().map(|other| clean(&folder.join(other)));
        let apart = apart.filter_map(|other| Some(other.strip_prefix(&path).ok()?.to_owned()));
        let apart = apart.filter(|inner| !inner.as_os_str().is_empty());
        let ignored = target.ignore.iter().map(|ignored| clean(Path::new(ignored)));
        let relative = path.strip_prefix(clean(folder)).unwrap_or(&path);
        folders.push(ReleaseFolder {
            path: relative.to_string_lossy().into_owned(),
            digest: Digest::of(b""),
            without: apart
                .chain(ignored)
                .map(|inner| inner.to_string_lossy().into_owned())
                .collect(),
        });
    }
    looked(folder, service, target, folders)
}

/// Refuses to start what is not what was stored: the files of a release were changed since.
pub(crate) fn unchanged(
    folder: &Path,
    service: &ServiceName,
    target: &ProcessTarget,
    stored: &Artifact,
) -> Result<(), Diagnostic> {
    let now = looked(folder, service, target, stored.folders.clone())?;
    if now.digest == stored.digest {
        return Ok(());
    }
    let words = now.words.iter().zip(&stored.words).zip(&target.command);
    let words = words
        .filter(|((now, then), _)| now != then)
        .map(|(_, word)| word.as_str());
    let folders = now.folders.iter().zip(&stored.folders);
    let folders = folders
        .filter(|(now, then)| now.digest != then.digest)
        .map(|(now, _)| now.path.as_str());
    let changed: Vec<&str> = words.chain(folders).collect();
    Err(Diagnostic::error(
        "release.changed",
        format!(
            "what {service} would run is not what was released: {} has other contents now",
            changed.join(", ")
        ),
    ))
}

/// What is there now, with the digests of these folders.
fn looked(
    folder: &Path,
    service: &ServiceName,
    target: &ProcessTarget,
    mut folders: Vec<ReleaseFolder>,
) -> Result<Artifact, Diagnostic> {
    let place = place(folder, target);
    if let Some(program) = program(folder, target)
        && !program.is_file()
    {
        return Err(missing(
            format!("{service} has no program {}", clean(&program).display()),
            &program,
        ));
    }
    let roots: Vec<PathBuf> = folders.iter().map(|one| clean(&folder.join(&one.path))).collect();
    let mut words: Vec<Digest> = Vec::new();
    for word in &target.command {
        let path = clean(&place.join(word));
        let within = roots.iter().find_map(|root| path.strip_prefix(root).ok());
        if let Some(inner) = within {
            words.push(Digest::of(inner.as_os_str().as_encoded_bytes()));
        } else if !word.is_empty() && path.is_file() {
            words.push(of_file(&path).map_err(|error| unreadable(&path, &error.to_string()))?);
        } else {
            words.push(Digest::of(word.as_bytes()));
        }
    }
    for (root, one) in roots.iter().zip(&mut folders) {
        if !root.is_dir() {
            return Err(missing(
                format!("{service} has no folder {}", root.display()),
                root,
            ));
        }
        let without: Vec<PathBuf> = one.without.iter().map(PathBuf::from).collect();
        one.digest = of_tree(root, &without).map_err(|error| match error {
            TreeError::Unreadable { path, source } => unreadable(&path, &source.to_string()),
            TreeError::TooLarge => Diagnostic::error(
                "release.too-large",
                format!(
                    "{service}: {} holds more than 200,000 files or 8 GB",
                    root.display()
                ),
            )
            .note(
                "next",
                "name what is not part of the release in target.process.ignore",
            )
            .help("cutover schema services.target.process.ignore"),
        })?;
    }
    let trees = folders.iter().map(|one| one.digest.clone());
    let parts: Vec<Digest> = words.iter().cloned().chain(trees).collect();
    Ok(Artifact {
        digest: Digest::of_value(&parts),
        words,
        folders,
    })
}

/// The folders that parts of paths with `{version}` name, where they are folders.
fn release_folders(folder: &Path, written: &ProcessTarget, target: &ProcessTarget) -> Vec<PathBuf> {
    let place = place(folder, target);
    let directory = written.directory.iter().zip(&target.directory);
    let directory = directory.filter_map(|(written, put_in)| Some(folder.join(to_version(written, put_in)?)));
    let words = written.command.iter().zip(&target.command);
    let words = words
        .filter(|(written, _)| written.contains('/'))
        .filter_map(|(written, put_in)| Some(place.join(to_version(written, put_in)?)))
        .filter(|path| path.is_dir());
    directory.chain(words).map(|path| clean(&path)).collect()
}

/// A path up to the part that holds `{version}`, that part included.
pub(super) fn to_version(written: &str, put_in: &str) -> Option<PathBuf> {
    let named = |part: Component<'_>| part.as_os_str().to_string_lossy().contains("{version}");
    let parts = Path::new(written).components().position(named)? + 1;
    Some(Path::new(put_in).components().take(parts).collect())
}

fn missing(message: String, path: &Path) -> Diagnostic {
    let nearest = path.ancestors().skip(1).find(|folder| folder.is_dir());
    let nearest = nearest.unwrap_or_else(|| Path::new("/"));
    Diagnostic::error("release.program-missing", message)
        .note("nearest folder", clean(nearest).display().to_string())
        .help(format!("ls {}", clean(nearest).display()))
}

fn unreadable(path: &Path, error: &str) -> Diagnostic {
    Diagnostic::error(
        "release.unreadable",
        format!("cannot read {}: {error}", clean(path).display()),
    )
    .help(format!("ls -l {}", clean(path).display()))
}

/// Without `.` in the middle, for people.
fn clean(path: &Path) -> PathBuf {
    path.components()
        .filter(|part| *part != Component::CurDir)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn target(command: &[&str], directory: Option<&str>) -> ProcessTarget {
        ProcessTarget {
            command: command.iter().map(|word| (*word).to_owned()).collect(),
            ports: None,
            directory: directory.map(str::to_owned),
            ignore: vec!["log".to_owned()],
            stop_grace: cutover_model::Span::ZERO,
        }
    }

    fn at(folder: &Path, version: &str, command: &[&str], directory: Option<&str>) -> Artifact {
        let put = |text: &&str| text.replace("{version}", version);
        let words: Vec<String> = command.iter().map(put).collect();
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        let inner = directory.as_ref().map(put);
        let written = target(command, directory);
        let put_in = target(&words, inner.as_deref());
        let stored = [PathBuf::from(format!("./r/{version}/migrations"))];
        artifact(folder, &"api".parse().unwrap(), &written, &put_in, &stored).unwrap()
    }

    /// Releases by version: what they load, beside the same entry file.
    fn releases(loaded: &[(&str, &str)]) -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        for (version, text) in loaded {
            let at = folder.path().join("r").join(version);
            std::fs::create_dir_all(at.join("lib")).unwrap();
            std::fs::create_dir_all(at.join("migrations")).unwrap();
            std::fs::write(at.join("main.py"), "import lib").unwrap();
            std::fs::write(at.join("lib/one.py"), text).unwrap();
            std::fs::write(at.join("migrations").join(version), "").unwrap();
        }
        folder
    }

    #[test]
    fn what_the_entry_file_loads_counts() {
        let folder = releases(&[("1.0.0", "same"), ("2.0.0", "same"), ("3.0.0", "other")]);
        let shapes: [(&[&str], Option<&str>); 4] = [
            (&["python3", "./r/{version}/main.py"], None),
            (&["./r/{version}/main.py"], None),
            (&["python3", "main.py"], Some("r/{version}")),
            (&["python3", "main.py"], Some("./r/{version}/lib/..")),
        ];
        for (command, directory) in shapes {
            let of = |version| at(folder.path(), version, command, directory).digest;
            assert_eq!(of("1.0.0"), of("2.0.0"), "{command:?}");
            assert_ne!(of("1.0.0"), of("3.0.0"), "{command:?}");
        }
    }

    #[test]
    fn a_file_that_holds_the_version_in_its_name_counts_by_its_bytes() {
        let folder = tempfile::tempdir().unwrap();
        let folder = folder.path();
        for (version, text) in [("1", "same"), ("2", "same"), ("3", "other")] {
            std::fs::write(folder.join(format!("app-{version}.jar")), text).unwrap();
        }
        let of = |version| at(folder, version, &["java", "-jar", "./app-{version}.jar"], None).digest;
        assert_eq!(of("1"), of("2"));
        assert_ne!(of("1"), of("3"));
    }

    #[test]
    fn a_word_that_names_no_file_counts_as_it_stands() {
        let folder = tempfile::tempdir().unwrap();
        let of = |version| at(folder.path(), version, &["run", "registry/image:{version}"], None).digest;
        assert_ne!(of("1"), of("2"));
    }

    #[test]
    fn another_entry_file_of_the_same_folder_is_another_artifact() {
        let folder = releases(&[("1.0.0", "same")]);
        std::fs::write(folder.path().join("r/1.0.0/other.py"), "import lib").unwrap();
        let of = |name: &str| {
            let word = format!("r/{{version}}/{name}");
            at(folder.path(), "1.0.0", &["python3", &word], None).digest
        };
        assert_ne!(of("main.py"), of("other.py"));
    }

    #[test]
    fn files_that_were_changed_since_are_not_started() {
        let folder = releases(&[("1.0.0", "same")]);
        let folder = folder.path();
        let stored = at(folder, "1.0.0", &["python3", "./r/{version}/main.py"], None);
        let put_in = target(&["python3", "./r/1.0.0/main.py"], None);
        let service = "api".parse().unwrap();
        let look = || unchanged(folder, &service, &put_in, &stored);
        look().unwrap();
        // What does not belong to it may change.
        std::fs::write(folder.join("r/1.0.0/log"), "x").unwrap();
        std::fs::write(folder.join("r/1.0.0/migrations/002.up.sql"), "x").unwrap();
        look().unwrap();
        std::fs::write(folder.join("r/1.0.0/lib/one.py"), "other").unwrap();
        let found = look().unwrap_err();
        assert_eq!(found.code, "release.changed");
        assert!(found.message.contains("r/1.0.0"), "{found}");
        std::fs::remove_dir_all(folder.join("r/1.0.0")).unwrap();
        assert_eq!(look().unwrap_err().code, "release.program-missing");
    }

    #[test]
    fn a_missing_program_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let target = target(&["./releases/1/app"], None);
        let service = "api".parse().unwrap();
        let found = artifact(folder.path(), &service, &target, &target, &[]).unwrap_err();
        assert_eq!(found.code, "release.program-missing");
        assert!(found.message.contains("releases/1/app"), "{found}");
        assert_eq!(found.notes[0].1, folder.path().display().to_string());
    }
}
