//! A number that is missing in a folder of migrations, told with what the database says of it: a file that was applied is brought
//! back, and never gives its number to another one.

use std::path::{Path, PathBuf};

use cutover_model::{Diagnostic, Version};
use cutover_ports::Databases as _;

use crate::context::Context;
use crate::failure::Failure;
use crate::lookup::Lookup;
use crate::release::database_url;
use crate::world;

/// What is wrong with the files of a version, as the reason why a command does nothing.
pub(crate) async fn told(ctx: &Context, version: &Version, found: Vec<Diagnostic>) -> Failure {
    Failure::usage(known(ctx, version, found).await)
}

/// What is wrong with the files of a version. A database that cannot be asked leaves it as it is.
pub(crate) async fn known(ctx: &Context, version: &Version, mut found: Vec<Diagnostic>) -> Vec<Diagnostic> {
    let Ok(application) = ctx.application() else {
        return found;
    };
    let at = application.at_version(version);
    for (name, database) in &at.databases {
        let Some(place) = &database.migrations else {
            continue;
        };
        let folder: PathBuf = Path::new(place).components().collect();
        let is_gap_here = |one: &Diagnostic| {
            let file = one.location.as_ref().map(|location| Path::new(&location.file));
            one.code == "migrate.gap" && file.is_some_and(|file| file.parent() == Some(&folder))
        };
        if !found.iter().any(is_gap_here) {
            continue;
        }
        let Ok(url) = database_url(ctx.folder(), &Lookup::new(ctx.folder(), &at), name, &database.url) else {
            continue;
        };
        let asked = world::migrator().with(name.clone(), url, Vec::new());
        if let Ok(state) = asked.observe(name).await {
            found = found
                .into_iter()
                .flat_map(|one| {
                    if is_gap_here(&one) {
                        cutover_migrate::lost(vec![one], &state.applied)
                    } else {
                        vec![one]
                    }
                })
                .collect();
        }
    }
    found
}
