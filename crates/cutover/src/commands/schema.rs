//! `cutover schema`: the JSON Schema of the file, or of a part.

use cutover_model::ExitCode;

use crate::failure::Outcome;
use crate::render::Printer;

pub(super) fn run(printer: &Printer, path: Option<&str>) -> Outcome {
    let schema = match path {
        None => cutover_spec::json_schema(),
        Some(path) => cutover_spec::schema_at(path)?,
    };
    printer.json_stored(&schema);
    Ok(ExitCode::Done)
}
