//! Rounds: every tool once, and whoever began the last one begins this one last.

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use serde::Serialize;

use crate::database::{Database, Server};
use crate::project::Project;
use crate::tool::Tool;

/// How much is measured.
pub(crate) struct Plan {
    pub(crate) files: usize,
    pub(crate) many: usize,
    pub(crate) rounds: usize,
}

impl Plan {
    /// A few milliseconds are told by many rounds.
    pub(crate) const fn rounds_of_nothing(&self) -> usize {
        3 * self.rounds
    }
}

pub(crate) struct Trial<'a> {
    plan: &'a Plan,
    tools: &'a [Tool],
    server: Server,
    folder: &'a Path,
}

/// What came of the trial of one kind of database.
#[derive(Serialize)]
pub(crate) struct Measured {
    pub(crate) server: &'static str,
    pub(crate) rows: Vec<Row>,
}

/// One measurement: per tool, the milliseconds of each round.
#[derive(Serialize)]
pub(crate) struct Row {
    pub(crate) what: What,
    pub(crate) files: usize,
    pub(crate) millis: Vec<Vec<f64>>,
}

#[derive(Clone, Copy, PartialEq, Eq, Serialize)]
pub(crate) enum What {
    Apply,
    Nothing,
}

impl<'a> Trial<'a> {
    pub(crate) const fn new(plan: &'a Plan, tools: &'a [Tool], server: Server, folder: &'a Path) -> Self {
        Self {
            plan,
            tools,
            server,
            folder,
        }
    }

    pub(crate) fn run(&self) -> Result<Measured> {
        let rows = vec![
            // First, while the server has nothing to do but this: it vacuums thousands of new tables for minutes.
            self.nothing(self.plan.files)?,
            self.nothing(self.plan.many)?,
            self.apply()?,
        ];
        Ok(Measured {
            server: self.server.name(),
            rows,
        })
    }

    fn projects(&self, files: usize) -> Result<Vec<Project<'a>>> {
        self.tools
            .iter()
            .map(|tool| Project::write(tool, self.folder, files))
            .collect()
    }

    fn apply(&self) -> Result<Row> {
        let projects = self.projects(self.plan.files)?;
        let millis = rounds(self.plan.rounds, &projects, |project| {
            let database = self.server.fresh(self.folder)?;
            let time = time(|| project.up(&database))?;
            let tables = database.tables()?;
            ensure!(
                tables == self.plan.files,
                "{} made {tables} tables",
                project.tool.kind.name()
            );
            Ok(time)
        })?;
        Ok(self.row(What::Apply, self.plan.files, millis))
    }

    fn nothing(&self, files: usize) -> Result<Row> {
        let projects = self.projects(files)?;
        let mut databases = Vec::new();
        for project in &projects {
            let folder = tempfile::tempdir_in(self.folder)?.keep();
            let database = self.server.fresh(&folder)?;
            project.fill(&database)?;
            // Once before, so that files are in memory and Python's are compiled.
            project.up(&database)?;
            databases.push(database);
        }
        let of = |project: &Project<'_>| -> &Database {
            let at = self.tools.iter().position(|tool| tool.kind == project.tool.kind);
            &databases[at.unwrap_or_default()]
        };
        let millis = rounds(self.plan.rounds_of_nothing(), &projects, |project| {
            let database = of(project);
            let time = time(|| project.up(database))?;
            ensure!(database.tables()? == 0, "something was applied after all");
            Ok(time)
        })?;
        Ok(self.row(What::Nothing, files, millis))
    }

    fn row(&self, what: What, files: usize, millis: Vec<Vec<f64>>) -> Row {
        let name = match what {
            What::Apply => "apply",
            What::Nothing => "nothing to do",
        };
        println!("{}: {name}, {files} files: done", self.server.name());
        Row { what, files, millis }
    }
}

fn rounds(
    count: usize,
    projects: &[Project<'_>],
    mut one: impl FnMut(&Project<'_>) -> Result<Duration>,
) -> Result<Vec<Vec<f64>>> {
    let mut millis = vec![Vec::new(); projects.len()];
    for round in 0..count {
        for turn in 0..projects.len() {
            let at = (turn + round) % projects.len();
            millis[at].push(one(&projects[at])?.as_secs_f64() * 1000.0);
        }
    }
    Ok(millis)
}

fn time(work: impl FnOnce() -> Result<()>) -> Result<Duration> {
    #[expect(
        clippy::disallowed_methods,
        reason = "a process's wall time is what is measured"
    )]
    let begun = Instant::now();
    work()?;
    Ok(begun.elapsed())
}
