//! What a service runs, as a digest: the bytes of every file that its command names.

use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

use cutover_model::{Diagnostic, Digest, ServiceName};
use cutover_spec::ProcessTarget;
use sha2::{Digest as _, Sha256};

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

/// The digest of what a target runs. `written` is as in the file, `target` with `{version}` put in.
///
/// A word of the command that names a file counts by the file's bytes, so that a path that merely holds the version is
/// no change; any other word counts as it stands, so that `image:{version}` is one. A folder with the version in it that
/// the program starts in may hold anything: it counts as a change.
pub(crate) fn artifact(
    folder: &Path,
    service: &ServiceName,
    written: &ProcessTarget,
    target: &ProcessTarget,
) -> Result<Digest, Diagnostic> {
    let place = place(folder, target);
    if let Some(program) = program(folder, target)
        && !program.is_file()
    {
        let nearest = program.ancestors().skip(1).find(|folder| folder.is_dir());
        let nearest = nearest.unwrap_or_else(|| Path::new("/"));
        return Err(Diagnostic::error(
            "release.program-missing",
            format!("{service} has no program {}", clean(&program).display()),
        )
        .note("nearest folder", clean(nearest).display().to_string())
        .help(format!("ls {}", clean(nearest).display())));
    }
    let mut parts: Vec<Digest> = Vec::new();
    for word in &target.command {
        let path = place.join(word);
        if !word.is_empty() && path.is_file() {
            let bytes = of_file(&path).map_err(|error| {
                Diagnostic::error(
                    "release.unreadable",
                    format!("cannot read {}: {error}", clean(&path).display()),
                )
                .help(format!("ls -l {}", clean(&path).display()))
            })?;
            parts.push(bytes);
        } else {
            parts.push(Digest::of(word.as_bytes()));
        }
    }
    if written.directory != target.directory {
        parts.push(Digest::of_value(&target.directory));
    }
    Ok(Digest::of_value(&parts))
}

fn of_file(path: &Path) -> io::Result<Digest> {
    let mut file = std::fs::File::open(path)?;
    let mut hash = Sha256::new();
    let mut buffer = vec![0; 256 * 1024];
    loop {
        match file.read(&mut buffer) {
            Ok(0) => return Ok(Digest::of(&hash.finalize())),
            Ok(read) => hash.update(&buffer[..read]),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}

/// Without `.` in the middle, for people.
fn clean(path: &Path) -> PathBuf {
    path.components().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn target(command: &[&str], directory: Option<&str>) -> ProcessTarget {
        ProcessTarget {
            command: command.iter().map(|word| (*word).to_owned()).collect(),
            ports: None,
            directory: directory.map(str::to_owned),
            stop_grace: cutover_model::Span::ZERO,
        }
    }

    fn digest(folder: &Path, target: &ProcessTarget) -> Result<Digest, Diagnostic> {
        artifact(folder, &"api".parse().unwrap(), target, target)
    }

    #[test]
    fn bytes_count_and_paths_do_not() {
        let folder = tempfile::tempdir().unwrap();
        let folder = folder.path();
        for (version, text) in [("1", "same"), ("2", "same"), ("3", "other")] {
            std::fs::create_dir(folder.join(version)).unwrap();
            std::fs::write(folder.join(version).join("app.py"), text).unwrap();
        }
        let of = |version: &str| {
            digest(
                folder,
                &target(&["python3", &format!("./{version}/app.py")], None),
            )
            .unwrap()
        };
        assert_eq!(of("1"), of("2"));
        assert_ne!(of("1"), of("3"));
        assert_ne!(
            digest(folder, &target(&["run", "image:1"], None)),
            digest(folder, &target(&["run", "image:2"], None))
        );
    }

    #[test]
    fn a_folder_with_the_version_is_a_change() {
        let folder = tempfile::tempdir().unwrap();
        let written = target(&["app"], Some("./{version}"));
        let of = |at: &str| {
            artifact(
                folder.path(),
                &"api".parse().unwrap(),
                &written,
                &target(&["app"], Some(at)),
            )
            .unwrap()
        };
        assert_ne!(of("./1"), of("./2"));
    }

    #[test]
    fn a_missing_program_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let found = digest(folder.path(), &target(&["./releases/1/app"], None)).unwrap_err();
        assert_eq!(found.code, "release.program-missing");
        assert!(found.message.contains("releases/1/app"), "{found}");
        assert_eq!(found.notes[0].1, folder.path().display().to_string());
    }
}
