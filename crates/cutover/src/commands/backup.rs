//! `cutover backup`: backups by hand, beside those that every upgrade makes.

use cutover_backup::{DatabaseBackups, Manifest};
use cutover_model::{DatabaseName, ExitCode};
use cutover_spec::Release;

use crate::cli::Backup;
use crate::context::Context;
use crate::execute::{must_be_free, open_upgrade};
use crate::failure::{Failure, Outcome};
use crate::lookup::Lookup;
use crate::planning;
use crate::release::database_url;
use crate::world::{SystemClock, backup_folder};

use super::{confirm, unconfirmed};

pub(super) async fn run(ctx: &Context, command: Backup) -> Outcome {
    let backups = backups(ctx).await?;
    match command {
        Backup::Create { database } => create(ctx, &backups, database).await,
        Backup::List { database } => list(ctx, &backups, database.as_ref()),
        Backup::Verify { name } => {
            let made = backups.verify(&name).await?;
            show(ctx, &[made], "whole");
            Ok(ExitCode::Done)
        }
        Backup::Restore { name } => restore(ctx, &backups, &name).await,
        Backup::Prune => {
            let removed = backups.prune(None)?;
            show(ctx, &removed, "removed");
            Ok(ExitCode::Done)
        }
    }
}

/// The databases of what is deployed, else those of the file.
async fn backups(ctx: &Context) -> Result<DatabaseBackups, Failure> {
    let deployed: Option<Release> = planning::current(ctx).await?.map(|(_, release)| release);
    let application = match &deployed {
        Some(release) => &release.application,
        None => ctx.application()?,
    };
    let folder = backup_folder(ctx, application.backup.directory.as_deref());
    let clock = std::sync::Arc::new(SystemClock);
    let mut all = DatabaseBackups::new(folder, application.backup.keep, clock);
    let lookup = Lookup::new(ctx.folder(), application);
    for (name, database) in &application.databases {
        all = all.with(
            name.clone(),
            database_url(ctx.folder(), &lookup, name, &database.url)?,
        );
    }
    let open = open_upgrade(ctx).await?;
    Ok(all.protecting(open.map(|head| head.id)))
}

async fn create(ctx: &Context, backups: &DatabaseBackups, database: Option<DatabaseName>) -> Outcome {
    let names = match database {
        Some(name) => vec![name],
        None => match planning::current(ctx).await? {
            Some((_, release)) => release.application.databases.into_keys().collect(),
            None => ctx.application()?.databases.keys().cloned().collect(),
        },
    };
    let mut made = Vec::new();
    for name in &names {
        made.push(backups.create_now(name).await?);
    }
    show(ctx, &made, "made and verified");
    Ok(ExitCode::Done)
}

fn list(ctx: &Context, backups: &DatabaseBackups, database: Option<&DatabaseName>) -> Outcome {
    let listing = backups.list(database)?;
    for problem in &listing.problems {
        ctx.printer
            .talk(&crate::render::diagnostic(problem, &ctx.printer.talk_style()));
    }
    show(ctx, &listing.backups, "");
    Ok(ExitCode::Done)
}

async fn restore(ctx: &Context, backups: &DatabaseBackups, name: &str) -> Outcome {
    must_be_free(ctx).await?;
    let question = format!("Put {name} in the place of the database? What was written since is lost.");
    if !confirm(&ctx.globals, &ctx.printer, &question) {
        return Err(unconfirmed(
            &ctx.globals,
            "a restore loses what was written since, and nobody said yes",
        ));
    }
    let restored = backups.restore(name, None).await?;
    if !restored.left_over.is_empty() {
        let left = restored.left_over.join(", ");
        ctx.printer.talk(&format!(
            "Tables that the backup does not know are still there: {left}\n"
        ));
    }
    show(ctx, &[restored.manifest], "restored");
    Ok(ExitCode::Done)
}

fn show(ctx: &Context, all: &[Manifest], what: &str) {
    if ctx.printer.is_json() {
        ctx.printer.json_pretty(&all);
        return;
    }
    if all.is_empty() {
        ctx.printer.data("No backup.\n");
    }
    for one in all {
        let for_upgrade = one
            .upgrade
            .as_ref()
            .map(|id| format!("for upgrade {id}"))
            .unwrap_or_default();
        let line = format!(
            "  {:<36} {:<10} {:>9}  {:.0}  {what}{for_upgrade}",
            one.id,
            one.database.as_str(),
            cutover_model::Bytes(one.bytes),
            one.created_at,
        );
        ctx.printer.data(&format!("{}\n", line.trim_end()));
    }
}
