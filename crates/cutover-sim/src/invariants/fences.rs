//! I9: no write to target, router or database without the current generation.

use cutover_model::Fence;

use crate::world::World;

/// A side has let a write in. It is `older` than one that the side has seen, or a newer controller is acting already.
///
/// A database is first written to by the step that needs it, so it knows a newer controller only from then on; what an
/// older one may still do there until then is a migration that the plan wants anyway.
pub(crate) fn accepted(world: &World, side: &str, older: bool, fence: &Fence) -> Result<(), String> {
    let own = fence.generation;
    if older {
        return Err(format!("{side} lets generation {own} in after a newer one"));
    }
    let acting = world.facts().map(|facts| facts.acting).unwrap_or_default();
    let outside = matches!(side, "the target" | "the router");
    if outside && own < acting {
        return Err(format!(
            "{side} lets generation {own} in while {acting} is acting"
        ));
    }
    Ok(())
}
