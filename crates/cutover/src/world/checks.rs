//! What only this machine can say before anything is touched.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use cutover_migrate::MigrateDatabases;
use cutover_model::{Action, Bytes, Diagnostic, Plan, RevisionId, ServiceChange, StrategyKind, Webhook};
use cutover_ports::{Check, Checks, Databases as _};
use cutover_proxy::ProxyRouter;
use cutover_spec::{PortRange, Release, Target};
use cutover_target_process::check_room;
use nix::unistd::{AccessFlags, access};

use crate::context::Context;
use crate::release::program;
use crate::world::Machine;

/// A backup is made and verified beside what is there: so much room must be left after it, in bytes.
const MARGIN: u64 = 64 * 1024 * 1024;

/// Threads of an instance that is not known yet; a small server has about so many.
const THREADS: u64 = 16;

/// Looks at this machine.
pub(crate) struct MachineChecks {
    folder: PathBuf,
    backups: PathBuf,
    releases: Vec<Release>,
    databases: Arc<MigrateDatabases>,
    proxy: ProxyRouter,
}

impl MachineChecks {
    pub(crate) fn new(
        ctx: &Context,
        machine: &Machine,
        releases: &[&Release],
        databases: Arc<MigrateDatabases>,
    ) -> Self {
        let directory = releases
            .first()
            .and_then(|release| release.application.backup.directory.as_ref());
        Self {
            folder: ctx.folder().to_owned(),
            backups: super::backup_folder(ctx, directory.map(String::as_str)),
            releases: releases.iter().map(|release| (*release).clone()).collect(),
            databases,
            proxy: machine.proxy.clone(),
        }
    }

    fn program_of(&self, revision: &RevisionId) -> Option<Diagnostic> {
        let name = &revision.service;
        let release = self
            .releases
            .iter()
            .find(|one| one.revisions.get(name) == Some(revision))?;
        let Target::Process(target) = &release.application.services.get(name)?.target;
        let program = program(&self.folder, target)?;
        let shown: PathBuf = program.components().collect();
        let shown = shown.display();
        if !program.is_file() {
            let message = format!("{name} {} has no program {shown}", revision.version);
            return Some(Diagnostic::error("release.program-missing", message).help("cutover check"));
        }
        access(&program, AccessFlags::X_OK).err().map(|_| {
            Diagnostic::error("release.not-executable", format!("{shown} is not executable"))
                .help(format!("chmod +x {shown}"))
        })
    }

    /// The range that a service's new instances get their ports from, and how many of them the plan starts while every
    /// old one still has its own.
    fn ports_of(&self, plan: &Plan, change: &ServiceChange) -> Option<(PortRange, u32)> {
        let to = change.to.as_ref()?;
        let release = self
            .releases
            .iter()
            .find(|one| one.revisions.get(&to.service) == Some(to))?;
        let Target::Process(target) = &release.application.services.get(&to.service)?.target;
        let needed = match plan.strategy {
            StrategyKind::BlueGreen | StrategyKind::Canary => change.replicas,
            // One is replaced before the next starts.
            StrategyKind::Rolling => change.replicas.min(1),
            StrategyKind::Recreate if change.from.is_some() => 0,
            StrategyKind::Recreate => change.replicas,
        };
        Some((target.ports?, needed))
    }

    /// A place where clients connect is free, or this environment's proxy has it.
    async fn listen(&self, listen: &str) -> Option<Diagnostic> {
        let ours = self.proxy.client().stats().await.is_ok_and(|stats| {
            stats
                .listeners
                .iter()
                .any(|one| same_address(listen, &one.address.to_string()))
        });
        if ours { None } else { taken(listen) }
    }

    async fn disk(&self, plan: &Plan) -> Option<Diagnostic> {
        let mut needed = 0;
        for step in &plan.steps {
            if let Action::Backup { database } = &step.action {
                needed += self.databases.observe(database).await.ok()?.size.unwrap_or(0);
            }
        }
        let there = self.backups.ancestors().find(|one| one.is_dir())?;
        let free = cutover_os::free_bytes(there).ok()?;
        (needed > 0 && free < needed + MARGIN).then(|| {
            Diagnostic::error(
                "backup.disk-full",
                format!(
                    "{} has {} free; the backups need about {}",
                    self.backups.display(),
                    Bytes(free),
                    Bytes(needed + MARGIN)
                ),
            )
            .help("cutover backup prune")
        })
    }
}

#[async_trait::async_trait]
impl Checks for MachineChecks {
    async fn run(&self, plan: &Plan) -> Vec<Check> {
        let mut checks = Vec::new();
        for change in &plan.services {
            if let Some(to) = change.to.as_ref().filter(|to| change.from.as_ref() != Some(to)) {
                checks.push(Check {
                    name: format!("the program of {} {}", to.service, to.version),
                    problem: self.program_of(to),
                });
            }
            if let Some(to) = change.to.as_ref().filter(|to| change.from.as_ref() != Some(to))
                && let Some((range, needed)) = self.ports_of(plan, change)
            {
                let what = format!("{} {}", to.service, to.version);
                checks.push(Check {
                    name: format!("ports for {what}"),
                    problem: check_room(range, needed, &what).err(),
                });
            }
            if let Some(listen) = &change.listen {
                checks.push(Check {
                    name: format!("{listen} is ours"),
                    problem: self.listen(listen).await,
                });
            }
        }
        if plan
            .steps
            .iter()
            .any(|step| matches!(step.action, Action::Backup { .. }))
        {
            checks.push(Check {
                name: "the folder of the backups".to_owned(),
                problem: unwritable(&self.backups),
            });
            checks.push(Check {
                name: "free disk for the backup".to_owned(),
                problem: self.disk(plan).await,
            });
        }
        for hook in hooks(plan) {
            let application = self.releases.first().map(|release| &release.application);
            let problem = application.and_then(|application| {
                let lookup = crate::lookup::Lookup::new(&self.folder, application);
                super::unresolved(&lookup, hook)
            });
            checks.push(Check {
                name: format!("the webhook {} can be called", hook.name),
                problem: problem.map(|why| {
                    let message = format!("the webhook {} cannot be called: {why}", hook.name);
                    Diagnostic::error("gate.not-callable", message).help("cutover check")
                }),
            });
        }
        let instances: u64 = plan
            .services
            .iter()
            .filter(|change| change.from != change.to)
            .map(|change| u64::from(change.replicas))
            .sum();
        checks.push(Check {
            name: "room for more processes".to_owned(),
            problem: processes(instances),
        });
        checks
    }
}

/// Everybody whom a plan asks or tells, on the way forward or back.
fn hooks(plan: &Plan) -> impl Iterator<Item = &Webhook> {
    let forward = plan.steps.iter().filter_map(|step| match &step.action {
        Action::Call { hook } => Some(hook),
        _ => None,
    });
    forward.chain(&plan.told_on_abort)
}

/// Who has the place where clients are to connect, if somebody has it.
pub(crate) fn taken(listen: &str) -> Option<Diagnostic> {
    let error = std::net::TcpListener::bind(listen).err()?;
    let owner = listen
        .parse()
        .ok()
        .and_then(|address| cutover_os::port_owners(address).ok())
        .and_then(|owners| owners.first().map(|owner| owner.pid));
    let found = Diagnostic::error("listen.in-use", format!("cannot listen on {listen}: {error}"));
    let found = match owner {
        Some(pid) => {
            let name = std::fs::read_to_string(format!("/proc/{pid}/comm")).unwrap_or_default();
            found.note("held by", format!("pid {pid} ({})", name.trim()))
        }
        None => found,
    };
    let port = listen.rsplit(':').next().unwrap_or(listen);
    Some(found.help(format!("ss -ltnp 'sport = {port}'")))
}

/// Why nothing can be written where the backups go: what is missing of the folder is made by the backup.
fn unwritable(folder: &Path) -> Option<Diagnostic> {
    let there = folder.ancestors().find(|one| one.exists())?;
    let why = if !there.is_dir() {
        "is not a folder".to_owned()
    } else if let Err(error) = access(there, AccessFlags::W_OK | AccessFlags::X_OK) {
        format!("cannot be written: {}", error.desc())
    } else {
        return None;
    };
    let message = format!(
        "the backups go to {}, and {} {why}",
        folder.display(),
        there.display()
    );
    Some(Diagnostic::error("backup.unwritable", message).help(format!("ls -ld {}", there.display())))
}

fn same_address(wanted: &str, listener: &str) -> bool {
    wanted == listener
        || wanted
            .strip_prefix("localhost:")
            .is_some_and(|port| listener == format!("127.0.0.1:{port}"))
}

/// The limit on this user's threads, which the instances share. The superuser has none.
fn processes(instances: u64) -> Option<Diagnostic> {
    if nix::unistd::geteuid().is_root() {
        return None;
    }
    let limits = std::fs::read_to_string("/proc/self/limits").ok()?;
    let line = limits.lines().find(|line| line.starts_with("Max processes"))?;
    let limit: u64 = line.split_whitespace().nth(2)?.parse().ok()?;
    let used = threads_of_this_user();
    let needed = instances * THREADS;
    (used + needed > limit).then(|| {
        Diagnostic::error(
            "target.process-limit",
            format!("{instances} new instances may need {needed} threads; {used} of {limit} are in use"),
        )
        .help("ulimit -u")
    })
}

fn threads_of_this_user() -> u64 {
    let me = nix::unistd::getuid().as_raw();
    let Ok(entries) = std::fs::read_dir("/proc") else {
        return 0;
    };
    entries
        .filter_map(|entry| std::fs::read_to_string(entry.ok()?.path().join("status")).ok())
        .filter_map(|status| {
            let field = |name: &str| {
                status
                    .lines()
                    .find_map(|line| line.strip_prefix(name))?
                    .split_whitespace()
                    .next()?
                    .parse::<u64>()
                    .ok()
            };
            (field("Uid:")? == u64::from(me)).then(|| field("Threads:").unwrap_or(1))
        })
        .sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_taken_address_names_its_owner() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let found = taken(&address).unwrap();
        assert_eq!(found.code, "listen.in-use");
        assert!(
            found.notes[0]
                .1
                .starts_with(&format!("pid {}", std::process::id())),
            "{found:?}"
        );
        drop(listener);
        assert_eq!(taken(&address), None);
    }

    #[test]
    fn a_file_where_the_backups_go_is_found() {
        let top = tempfile::tempdir().unwrap();
        assert_eq!(unwritable(&top.path().join("not/yet/there")), None);
        std::fs::write(top.path().join("file"), "").unwrap();
        let found = unwritable(&top.path().join("file/backups")).unwrap();
        assert_eq!(found.code, "backup.unwritable");
        assert!(
            found.message.ends_with("file is not a folder"),
            "{}",
            found.message
        );
    }

    #[test]
    fn this_user_has_threads() {
        assert!(threads_of_this_user() > 0);
    }
}
