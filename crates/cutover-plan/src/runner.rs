//! Databases that another tool migrates: when it is run, and where it goes back to.
//!
//! What it does is not read here, so that nothing is promised of it: the old version must live with it, as with every
//! expand. The tool is run whenever another release is gone to; what is pending is its own to know.

use cutover_model::{
    Action, DatabaseState, Migration, Note, SchemaRevision, Stage, Step, Undo, Version, WayBack,
};
use cutover_spec::Release;

use crate::schema_steps::SCHEMA_DEADLINE;
use crate::shape::Shape;

/// What a tool does to its database in an upgrade.
#[derive(Debug, Clone)]
pub(crate) struct Run {
    migration: Migration,
    undo: Undo,
    by: String,
    /// The report's line.
    pub(crate) note: Note,
}

impl Run {
    /// With the database as it was found, which is where an abort goes back to.
    pub(crate) fn of(
        target: &Release,
        from: Option<&Version>,
        migration: &Migration,
        seen: &DatabaseState,
    ) -> Self {
        let tool = migration.id.to_string();
        let commands = target
            .application
            .databases
            .get(&migration.database)
            .and_then(|database| database.runner.as_ref())
            .map(cutover_spec::Runner::commands);
        let down = commands.as_ref().filter(|commands| commands.down.is_some());
        let base = commands.as_ref().and_then(|commands| commands.base.as_deref());
        let lives = from.map_or_else(String::new, |from| format!("; {from} must live with it"));
        let stays = |why: &str| {
            (
                Undo::Nothing(format!("{why}: the schema stays{lives}")),
                format!("stop; the schema stays as {tool} left it{lives}"),
            )
        };
        let (undo, by) = match (down, &seen.revision) {
            (None, _) => stays("there is no way down"),
            (_, None) => stays("nobody knows where it was"),
            (_, Some(at)) if !at.exact => stays("where it was is no single revision"),
            (_, Some(at)) if at.is_empty() && base.is_none() => {
                stays("nothing was applied, which has no name")
            }
            (_, Some(at)) => (
                Undo::Downgrade {
                    migration: migration.clone(),
                    to: at.clone(),
                },
                format!("{tool} takes the schema back: {}", to(at)),
            ),
        };
        let at = seen
            .revision
            .as_ref()
            .map_or_else(String::new, |at| format!(", from {at}"));
        let command = migration.summary.as_deref().unwrap_or_default();
        let why = format!("`{command}`{at}; what it does is not read here{lives}");
        Self {
            migration: migration.clone(),
            undo,
            by,
            note: Note::new('+', tool, migration.phase.word(), why),
        }
    }
}

fn to(at: &SchemaRevision) -> String {
    format!("to {at}; what was written into what it drops is lost")
}

/// The step.
pub(crate) fn step(shape: &mut Shape<'_>, run: &Run) {
    let back = shape.back(&run.by);
    shape.about_ms += 2_000;
    shape.push_with(
        Stage::Expand,
        format!("{} of {}", run.migration.id, run.migration.database),
        Action::Migrate {
            database: run.migration.database.clone(),
            migrations: vec![run.migration.clone()],
            hold: Vec::new(),
        },
        Some(SCHEMA_DEADLINE),
        run.undo.clone(),
        back,
    );
}

/// From all steps after it an abort takes the schema back too, until the release is recorded.
pub(crate) fn lengthen_ways_back(steps: &mut [Step]) {
    let mut last = Vec::new();
    for step in steps {
        if matches!(step.action, Action::Promote) {
            return;
        }
        if let WayBack::To { by, .. } = &mut step.way_back {
            if !last.is_empty() {
                *by = by.replace("nothing is lost", "no request is lost");
            }
            last.iter().for_each(|more: &String| by.push_str(more));
        }
        if let Undo::Downgrade { migration, to: at } = &step.undo {
            last.push(format!("; then {} {}", migration.id, to(at)));
        }
    }
}
