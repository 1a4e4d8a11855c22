//! `cutover down`: everything that runs for this environment ends. What is recorded stays: an upgrade to the same version
//! starts it again.

use cutover_model::ExitCode;
use cutover_ports::Store as _;

use super::{confirm, unconfirmed};
use crate::context::Context;
use crate::execute::must_be_free;
use crate::failure::Outcome;
use crate::world::Machine;

pub(super) async fn run(ctx: &Context, machine: &Machine) -> Outcome {
    must_be_free(ctx).await?;
    let question = format!(
        "End every instance of {} and its proxy? Nobody is served then.",
        ctx.name
    );
    if !confirm(&ctx.globals, &ctx.printer, &question) {
        return Err(unconfirmed(
            &ctx.globals,
            "nobody is served once it is down, and nobody said yes",
        ));
    }
    machine.target.shutdown(true).await?;
    let again = ctx.store.stable().await?.map_or_else(String::new, |stable| {
        format!(
            " What is recorded stays: `cutover upgrade {}` starts it again.",
            stable.version
        )
    });
    ctx.printer.advise(&format!("{} is down.{again}\n", ctx.name));
    Ok(ExitCode::Done)
}
