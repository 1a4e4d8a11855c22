//! The page of the linter's rules, as the product tells them.

use anyhow::Result;

use crate::repository::Repository;

use super::product::Product;

pub(super) const PATH: &str = "docs/rules/README.md";

pub(super) fn make(_: &Repository, product: &Product<'_>) -> Result<Option<String>> {
    product.says(&["migrate", "rules", "--page"])
}
