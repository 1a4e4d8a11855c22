//! From the words of a specification to a program that can be started.

use std::io;
use std::path::{Path, PathBuf};

use cutover_model::{Diagnostic, Version};
use cutover_spec::ProcessTarget;
use nix::unistd::{AccessFlags, access};
use thiserror::Error;

/// Why a program cannot be started. None of these changes by trying again.
#[derive(Debug, Error)]
pub(crate) enum LaunchError {
    #[error("the command of {what} is empty")]
    Empty { what: String },
    #[error("{what} cannot start in {}: there is no such folder", path.display())]
    NoFolder { what: String, path: PathBuf },
    #[error("{what} cannot start: there is no program {}", path.display())]
    NoProgram { what: String, path: PathBuf },
    #[error("{what} cannot start: no folder of PATH has a program `{name}`")]
    NotInPath { what: String, name: String },
    #[error("{what} cannot start: {} is not executable", path.display())]
    NotExecutable { what: String, path: PathBuf },
    #[error("{what} cannot start: {} was refused by the system: {source}", path.display())]
    Refused {
        what: String,
        path: PathBuf,
        source: io::Error,
    },
    #[error("{what} cannot start: its log cannot be written: {source}")]
    Log { what: String, source: io::Error },
}

impl LaunchError {
    pub(crate) fn diagnostic(&self) -> Diagnostic {
        let diagnostic = Diagnostic::error("target.start-failed", self.to_string());
        match self {
            Self::NotExecutable { path, .. } => diagnostic.help(format!("chmod +x {}", path.display())),
            Self::NoProgram { path, .. } | Self::NoFolder { path, .. } => {
                let nearest = path.ancestors().skip(1).find(|folder| folder.is_dir());
                match nearest {
                    Some(folder) => diagnostic
                        .note("nearest folder", folder.display().to_string())
                        .help(format!("ls {}", folder.display())),
                    None => diagnostic.help("cutover check"),
                }
            }
            Self::Refused { path, source, .. } if source.raw_os_error() == Some(8) => diagnostic
                .note(
                    "cause",
                    "neither a program for this machine nor a script with a first line such as #!/bin/sh",
                )
                .help(format!("file {}", path.display())),
            Self::Log { .. } => diagnostic.help("df -h"),
            Self::Empty { .. } | Self::NotInPath { .. } | Self::Refused { .. } => {
                diagnostic.help("cutover check")
            }
        }
    }
}

/// A program with its arguments and its folder, all absolute, checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Launch {
    pub(crate) program: PathBuf,
    pub(crate) arguments: Vec<String>,
    pub(crate) directory: PathBuf,
}

impl Launch {
    /// Fills in `{version}` and `{port}` and makes sure that the program is there. `search` is the PATH for programs
    /// without a slash.
    pub(crate) fn of_instance(
        what: &str,
        target: &ProcessTarget,
        version: &Version,
        port: Option<u16>,
        default_directory: &Path,
        search: &str,
    ) -> Result<Self, LaunchError> {
        let fill = |text: &str| {
            let text = text.replace("{version}", &version.to_string());
            match port {
                Some(port) => text.replace("{port}", &port.to_string()),
                None => text,
            }
        };
        let words: Vec<String> = target.command.iter().map(|word| fill(word)).collect();
        let directory = match &target.directory {
            Some(directory) => default_directory.join(fill(directory)),
            None => default_directory.to_owned(),
        };
        Self::check(what, &words, directory, search)
    }

    pub(crate) fn check(
        what: &str,
        words: &[String],
        directory: PathBuf,
        search: &str,
    ) -> Result<Self, LaunchError> {
        let what = what.to_owned();
        let Some((name, arguments)) = words.split_first().filter(|(name, _)| !name.is_empty()) else {
            return Err(LaunchError::Empty { what });
        };
        if !directory.is_dir() {
            return Err(LaunchError::NoFolder {
                what,
                path: directory,
            });
        }
        let program = if name.contains('/') {
            let path = clean(&directory.join(name));
            if !path.is_file() {
                return Err(LaunchError::NoProgram { what, path });
            }
            if !is_executable(&path) {
                return Err(LaunchError::NotExecutable { what, path });
            }
            path
        } else {
            std::env::split_paths(search)
                .map(|folder| folder.join(name))
                .find(|path| path.is_file() && is_executable(path))
                .ok_or_else(|| LaunchError::NotInPath {
                    what,
                    name: name.clone(),
                })?
        };
        Ok(Self {
            program,
            arguments: arguments.to_vec(),
            directory,
        })
    }

    pub(crate) fn command(&self) -> std::process::Command {
        let mut command = std::process::Command::new(&self.program);
        command
            .args(&self.arguments)
            .current_dir(&self.directory)
            .stdin(std::process::Stdio::null());
        command
    }
}

/// Without the `.` of `./releases`, for people; `..` stays, since it may lead through a link.
fn clean(path: &Path) -> PathBuf {
    path.components().collect()
}

fn is_executable(path: &Path) -> bool {
    access(path, AccessFlags::X_OK).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    fn target(command: &[&str], directory: Option<&str>) -> ProcessTarget {
        ProcessTarget {
            command: command.iter().map(|word| (*word).to_owned()).collect(),
            ports: None,
            directory: directory.map(str::to_owned),
            ignore: Vec::new(),
            stop_grace: cutover_model::Span::ZERO,
        }
    }

    #[test]
    fn words_are_filled_in_and_programs_found() {
        let top = tempfile::tempdir().unwrap();
        let folder = top.path().join("releases/1.1.0");
        fs_err::create_dir_all(&folder).unwrap();
        let program = folder.join("shop");
        fs_err::write(&program, "x").unwrap();
        let of = |command: &[&str], directory| {
            let target = target(command, directory);
            let version = Version::new(1, 1, 0);
            Launch::of_instance("api", &target, &version, Some(7), top.path(), "/nope:/bin")
        };
        let words = ["./releases/{version}/shop", "--port={port}", "{other}"];
        let error = of(&words, None).unwrap_err();
        assert!(matches!(error, LaunchError::NotExecutable { .. }));
        assert_eq!(
            error.diagnostic().help.unwrap(),
            format!("chmod +x {}", program.display())
        );
        fs_err::set_permissions(&program, std::fs::Permissions::from_mode(0o755)).unwrap();
        let launch = of(&words, None).unwrap();
        assert_eq!(launch.program, program);
        assert_eq!(launch.arguments, ["--port=7", "{other}"]);
        assert_eq!(launch.directory, top.path());
        let launch = of(&["./shop"], Some("releases/{version}")).unwrap();
        assert_eq!((launch.program, launch.directory), (program, folder));
        assert_eq!(of(&["sh"], None).unwrap().program, Path::new("/bin/sh"));
        assert!(matches!(of(&[], None), Err(LaunchError::Empty { .. })));
        assert!(matches!(
            of(&["sh"], Some("none")),
            Err(LaunchError::NoFolder { .. })
        ));
        assert!(matches!(
            of(&["no-such-program"], None),
            Err(LaunchError::NotInPath { .. })
        ));
        let error = of(&["./releases/1.1.0/none"], None).unwrap_err();
        assert_eq!(error.diagnostic().code, "target.start-failed");
        assert!(error.diagnostic().help.unwrap().ends_with("releases/1.1.0"));
    }
}
