//! What commands can change of collections: a digest tells whether one that was begun has happened.

use cutover_model::Digest;
use serde_json::{Value, json};

use super::MongoSession;
use crate::failure::Failure;

impl MongoSession {
    /// Collections, views, their options and indexes; Cutover's own are left out.
    pub(super) async fn shape_now(&self) -> Result<String, Failure> {
        let mut collections = self.documents("{\"listCollections\":1}").await?;
        collections.retain(|one| !name(one).starts_with("cutover_") && !name(one).starts_with("system."));
        collections.sort_by(|a, b| name(a).cmp(name(b)));
        let mut text = String::new();
        for one in &collections {
            text.push_str(&one.to_string());
            if one.get("type").and_then(Value::as_str) == Some("collection") {
                let mut indexes = self
                    .documents(&json!({"listIndexes": name(one)}).to_string())
                    .await?;
                indexes.sort_by(|a, b| name(a).cmp(name(b)));
                text.extend(indexes.iter().map(Value::to_string));
            }
        }
        Ok(Digest::of(text.as_bytes()).to_string())
    }
}

fn name(document: &Value) -> &str {
    document.get("name").and_then(Value::as_str).unwrap_or_default()
}
