//! The JSON Schema of `cutover.yaml`, for editors.

use anyhow::Result;

use crate::repository::Repository;

use super::product::Product;

pub(super) const PATH: &str = "docs/reference/schema.json";

pub(super) fn make(_: &Repository, product: &Product<'_>) -> Result<Option<String>> {
    Ok(product
        .says(&["schema"])?
        .map(|schema| format!("{}\n", schema.trim_end())))
}
