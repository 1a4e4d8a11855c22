//! `cutover check`: everything that can be said about the file and what lies beside it without touching anything.

use cutover_model::{Diagnostic, ExitCode, Version};
use cutover_spec::Target;

use crate::context::Context;
use crate::failure::{Failure, Outcome};
use crate::planning;
use crate::release::{Key, build, certificates, program};

pub(super) async fn run(ctx: &Context, version: Option<&Version>) -> Outcome {
    let application = ctx.application()?;
    let mut looked = vec![format!(
        "{} describes {}",
        ctx.globals.config.display(),
        application.application
    )];
    let mut wrong: Vec<Diagnostic> = Vec::new();
    if let Some(version) = version {
        let key = Key::open(&ctx.state.key())?;
        let current = planning::current(ctx).await?;
        let previous = current.as_ref().map(|(_, release)| release);
        match build(application, ctx.folder(), &key, version, previous, None) {
            Ok(release) => {
                let migrations: usize = release.migrations.values().map(Vec::len).sum();
                looked.push(format!(
                    "{version}: {} services, {migrations} migrations, programs and references found",
                    release.revisions.len()
                ));
            }
            Err(found) => wrong.extend(found),
        }
    } else {
        if let Err(found) = certificates::settle(&mut application.clone(), ctx.folder()) {
            wrong.extend(found);
        }
        for (name, service) in &application.services {
            let Target::Process(target) = &service.target;
            let whole = target
                .command
                .iter()
                .chain(&target.directory)
                .all(|word| !word.contains("{version}"));
            if let Some(path) = program(ctx.folder(), target).filter(|path| whole && !path.is_file()) {
                wrong.push(
                    Diagnostic::error(
                        "release.program-missing",
                        format!("{name} has no program {}", path.display()),
                    )
                    .help(format!("ls {}", path.parent().unwrap_or(&path).display())),
                );
            }
        }
    }
    if !wrong.is_empty() {
        return Err(Failure::many(ExitCode::Findings, wrong));
    }
    if ctx.printer.is_json() {
        ctx.printer
            .json_pretty(&serde_json::json!({ "application": application.application, "errors": [] }));
    } else {
        for line in looked {
            ctx.printer.data(&format!("  ✓ {line}\n"));
        }
        if version.is_none() {
            ctx.printer
                .advise("  also programs and migrations of a version: cutover check VERSION\n");
        }
    }
    Ok(ExitCode::Done)
}
