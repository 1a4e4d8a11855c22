//! What must hold for an upgrade to go on, apart from health and evidence.

use cutover_model::{HookPoint, Webhook, Window};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What must hold for an upgrade to go on, apart from health and evidence. Aborts and rollbacks ask none of them.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Gates {
    /// When an upgrade may touch anything; default at any time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub window: Option<Window>,
    /// Other systems that are asked or told, in this order at each point.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub webhooks: Vec<Webhook>,
}

impl Gates {
    /// Whether there are none.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.window.is_none() && self.webhooks.is_empty()
    }

    /// The webhooks of a point, in the file's order.
    pub fn hooks_at(&self, point: HookPoint) -> impl Iterator<Item = &Webhook> {
        self.webhooks.iter().filter(move |hook| hook.at == point)
    }
}
