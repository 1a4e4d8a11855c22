//! A plan as plain text, every field that matters, for snapshots. What a person sees is drawn by the command line.

use std::fmt::Write as _;

use cutover_model::{Action, Desired, Note, Plan, PlanReport, Undo};
use cutover_plan::Planned;

pub(crate) fn show(planned: &Planned) -> String {
    match planned {
        Planned::Plan(plan) => whole(plan),
        Planned::Nothing(why) => format!("nothing: {why}\n"),
        Planned::Refused(refusal) => {
            let mut text = "refused\n".to_owned();
            for problem in &refusal.because {
                writeln!(text, "  {}: {}", problem.code, problem.message).unwrap();
                for (key, value) in &problem.notes {
                    writeln!(text, "    {key}: {value}").unwrap();
                }
                writeln!(text, "    help: {}", problem.help.as_deref().unwrap_or("-")).unwrap();
            }
            text + &report(&refusal.report)
        }
    }
}

fn whole(plan: &Plan) -> String {
    let from = plan
        .from
        .as_ref()
        .map_or_else(|| "-".to_owned(), ToString::to_string);
    let mut text = format!(
        "{} {} {from} → {} by {}\n",
        plan.application, plan.kind, plan.to, plan.strategy
    );
    text += &report(&plan.report);
    writeln!(text, "initial: {}", state(&plan.initial)).unwrap();
    for step in &plan.steps {
        writeln!(text, "{:>2} {:<9} {}", step.id, step.stage, step.title).unwrap();
        if let Action::Hold { desired } = &step.action {
            writeln!(text, "             {}", state(desired)).unwrap();
        }
        let undo = match &step.undo {
            Undo::Nothing(why) => format!("nothing ({why})"),
            Undo::Hold(desired) if *desired == plan.initial => "the initial state".to_owned(),
            Undo::Hold(desired) => state(desired),
            Undo::Reopen { migrations, .. } => format!("reopen {}", migrations.len()),
            Undo::Downgrade { migration, to } => format!("{} to {to}", migration.id),
            Undo::Impossible(_) => "impossible".to_owned(),
        };
        writeln!(text, "             undo: {undo}").unwrap();
        writeln!(text, "             back: {}", step.way_back.words()).unwrap();
    }
    for guard in &plan.guards {
        writeln!(
            text,
            "guard {} after {} until {}",
            guard.name, guard.after, guard.until
        )
        .unwrap();
    }
    for pending in &plan.pending_contracts {
        writeln!(text, "pending contract {}", pending.id).unwrap();
    }
    text
}

fn report(report: &PlanReport) -> String {
    let mut text = String::new();
    let line = |note: &Note| {
        format!(
            "  {} {} | {} | {}\n",
            note.mark, note.subject, note.what, note.why
        )
    };
    for (heading, notes) in &report.schema {
        writeln!(text, "schema {heading}").unwrap();
        notes.iter().for_each(|note| text.push_str(&line(note)));
    }
    text.push_str("services\n");
    report.services.iter().for_each(|note| text.push_str(&line(note)));
    for warning in &report.warnings {
        writeln!(text, "warning: {warning}").unwrap();
    }
    writeln!(
        text,
        "about {} s{}",
        report.about_ms / 1000,
        if report.downtime { ", with downtime" } else { "" }
    )
    .unwrap();
    text
}

fn state(desired: &Desired) -> String {
    if desired.0.is_empty() {
        return "nothing".to_owned();
    }
    let one = |(id, want): (&cutover_model::RevisionId, &cutover_model::DesiredRevision)| {
        let weight = want
            .weight
            .map_or_else(|| "worker".to_owned(), |weight| weight.to_string());
        let routing = want.routing;
        let headers = match routing.header_routes {
            0 => String::new(),
            bits => format!(" headers {bits:b}"),
        };
        let mirror = routing
            .mirror
            .map_or_else(String::new, |share| format!(" copies {share} %"));
        format!(
            "{} {} {} ×{} {weight}{headers}{mirror}",
            id.service, id.version, want.track, want.replicas
        )
    };
    desired.0.iter().map(one).collect::<Vec<_>>().join(", ")
}
