//! Other systems that are asked or told at a point of an upgrade.

use cutover_model::{
    ApplicationName, EnvironmentName, HookAnswer, HookPoint, PlanId, StepId, UpgradeId, UpgradeKind, Version,
    Webhook,
};
use serde::Serialize;

/// What is sent: which upgrade, and where it stands. Documented and stable; fields may be added. Never holds a secret.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct HookBody {
    /// The webhook's name.
    pub name: String,
    /// Its point.
    pub at: HookPoint,
    /// The upgrade.
    pub upgrade: UpgradeId,
    /// Its plan.
    pub plan: PlanId,
    /// What it is for.
    pub kind: UpgradeKind,
    /// The application.
    pub application: ApplicationName,
    /// The environment.
    pub environment: EnvironmentName,
    /// From which version; none on a first deployment.
    pub from: Option<Version>,
    /// To which version.
    pub version: Version,
    /// The step.
    pub step: StepId,
    /// What the step is called: `change-ticket confirms (confirmRollout)`.
    pub title: String,
    /// How often it was called for this step, this time included; from 1.
    pub attempt: u32,
    /// Why it goes back; none on the way forward.
    pub because: Option<String>,
}

/// One call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HookCall<'a> {
    /// Whom, and how.
    pub hook: &'a Webhook,
    /// The same for every try of one step of one upgrade: who hears it twice knows that it is one thing.
    pub key: String,
    /// What is sent.
    pub body: HookBody,
}

/// Calls webhooks. Secrets are looked up at the moment of the call, and no answer repeats one.
#[async_trait::async_trait]
pub trait Webhooks: Send + Sync {
    /// One try, within the hook's time-out.
    async fn call(&self, call: &HookCall<'_>) -> HookAnswer;
}
