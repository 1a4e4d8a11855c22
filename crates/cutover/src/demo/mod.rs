//! placeholder while the commands are brought to compile
use crate::cli::Demo;
use crate::failure::Outcome;
use crate::render::{Colour, Printer};
pub(crate) async fn run(_: &Printer, _: Colour, _: &Demo) -> Outcome { Ok(cutover_model::ExitCode::Failed) }
pub(crate) async fn shop() -> Outcome { Ok(cutover_model::ExitCode::Failed) }
