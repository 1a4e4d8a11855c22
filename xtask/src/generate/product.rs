//! Asking the product about itself.

use std::cell::OnceCell;
use std::env;
use std::path::PathBuf;
use std::process::Command;

use anyhow::Result;

use crate::cargo;
use crate::repository::Repository;

/// The binary, built when it is first asked: what needs no product can be generated while it does not compile.
pub(super) struct Product<'a> {
    repository: &'a Repository,
    binary: OnceCell<PathBuf>,
}

impl<'a> Product<'a> {
    pub(super) fn new(repository: &'a Repository) -> Self {
        Self {
            repository,
            binary: OnceCell::new(),
        }
    }

    fn binary(&self) -> Result<&PathBuf> {
        if let Some(binary) = self.binary.get() {
            return Ok(binary);
        }
        let built = cargo::build_cutover(self.repository)?;
        Ok(self.binary.get_or_init(|| built))
    }

    /// What it prints, or none when it refuses or says nothing. It sees no terminal and no environment: neither the
    /// width of a window nor a person's settings may get into a committed file.
    pub(super) fn says(&self, arguments: &[&str]) -> Result<Option<String>> {
        let mut command = Command::new(self.binary()?);
        command
            .args(arguments)
            .env_clear()
            .env("COLUMNS", "100")
            .env("NO_COLOR", "1");
        if let Some(path) = env::var_os("PATH") {
            command.env("PATH", path);
        }
        let text = cargo::stdout(&mut command)?;
        Ok(text.filter(|text| !text.trim().is_empty()))
    }
}
