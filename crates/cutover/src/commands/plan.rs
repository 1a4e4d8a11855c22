//! `cutover plan`: what would be done, and nothing is.

use cutover_model::ExitCode;
use cutover_plan::Planned;

use crate::cli::{Plan, ServiceChoice};
use crate::context::Context;
use crate::execute::{free_addresses, nothing};
use crate::failure::Outcome;
use crate::planning::{self, Files};
use crate::render;
use crate::world::Machine;

pub(super) async fn run(ctx: &Context, machine: &Machine, plan: Plan) -> Outcome {
    let proposal = if plan.rollback {
        planning::rollback(ctx, machine, Some(&plan.version), Files::AsReleased).await?
    } else {
        planning::upgrade(ctx, machine, &plan.version, &plan.service, plan.from.clone()).await?
    };
    match proposal.planned {
        Planned::Plan(found) => {
            free_addresses(machine, &found).await?;
            if ctx.printer.is_json() {
                ctx.printer.json_stored(&*found);
            } else {
                let run = command(&plan);
                ctx.printer
                    .data(&render::plan(&found, Some(&run), ctx.printer.style()));
            }
            Ok(ExitCode::Done)
        }
        Planned::Nothing(why) => Ok(nothing(ctx, &why)),
        Planned::Refused(refusal) => {
            if ctx.printer.is_json() {
                let refused = serde_json::json!({ "errors": refusal.because, "report": refusal.report });
                ctx.printer.json_pretty(&refused);
            } else {
                ctx.printer.data(&render::refused(&refusal, ctx.printer.style()));
            }
            Ok(ExitCode::Usage)
        }
    }
}

/// The command that carries out what was planned.
fn command(plan: &Plan) -> String {
    let mut words = if plan.rollback {
        format!("cutover rollback --to {}", plan.version)
    } else {
        format!("cutover upgrade {}", plan.version)
    };
    for choice in &plan.service {
        if let ServiceChoice::One(name) = choice {
            words.push_str(&format!(" --service {name}"));
        }
    }
    if let Some(from) = &plan.from {
        words.push_str(&format!(" --from {from}"));
    }
    words
}
