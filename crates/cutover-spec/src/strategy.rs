//! How a release takes over.

use std::collections::BTreeMap;

use cutover_model::routing::{RequestMatch, RouteRule, TextMatch};
use cutover_model::{Span, StrategyKind, Track};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// How a release takes over; default a canary with the default steps.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub enum Strategy {
    /// Two full sets, one switch.
    BlueGreen(BlueGreen),
    /// A growing share of the traffic.
    Canary(Canary),
    /// Instance by instance.
    Rolling(Rolling),
    /// Old down, then new up.
    Recreate(Recreate),
}

impl Default for Strategy {
    fn default() -> Self {
        Self::Canary(Canary::default())
    }
}

impl Strategy {
    /// The word for it.
    #[must_use]
    pub const fn kind(&self) -> StrategyKind {
        match self {
            Self::BlueGreen(_) => StrategyKind::BlueGreen,
            Self::Canary(_) => StrategyKind::Canary,
            Self::Rolling(_) => StrategyKind::Rolling,
            Self::Recreate(_) => StrategyKind::Recreate,
        }
    }
}

const fn yes() -> bool {
    true
}

const fn scale_down_delay() -> Span {
    Span::from_secs(30)
}

/// Two full sets, one switch.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct BlueGreen {
    /// Whether the switch happens without asking; default true.
    pub auto_promotion_enabled: bool,
    /// Instances of the candidate before the switch is near; default all.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub preview_replica_count: Option<u32>,
    /// Templates that must be successful before the switch (measured without traffic: smoke and mirrored).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pre_promotion_analysis: Option<InlineAnalysis>,
    /// Templates that must be successful after the switch; else it goes back.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub post_promotion_analysis: Option<InlineAnalysis>,
    /// How long the old set is kept after the switch, in observed healthy time; default 30s.
    pub scale_down_delay: Span,
}

impl Default for BlueGreen {
    fn default() -> Self {
        Self {
            auto_promotion_enabled: yes(),
            preview_replica_count: None,
            pre_promotion_analysis: None,
            post_promotion_analysis: None,
            scale_down_delay: scale_down_delay(),
        }
    }
}

/// A growing share of the traffic.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Canary {
    /// The steps; default 10, 25, 50, 75 and 100 % with 5m each.
    pub steps: Vec<CanaryStep>,
    /// Analysed in the background from the first weight on; default: failed when the error rate is over 5 % or p99
    /// over 1.5 × stable's, every 30s.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub analysis: Option<BackgroundAnalysis>,
    /// How long the old revision is kept after 100 %, in observed healthy time; default 30s.
    pub scale_down_delay: Span,
}

impl Default for Canary {
    fn default() -> Self {
        Self {
            steps: Vec::new(),
            analysis: None,
            scale_down_delay: scale_down_delay(),
        }
    }
}

/// One step of a canary.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub enum CanaryStep {
    /// The candidate's share, in per cent, 0 to 100.
    SetWeight(#[schemars(range(max = 100))] u8),
    /// Wait; without a duration until a person promotes.
    Pause(PauseStep),
    /// Measure until there is a verdict.
    Analysis(InlineAnalysis),
    /// The candidate's instances, apart from its share.
    SetCanaryScale(CanaryScale),
    /// Requests that go to the candidate whatever its share is, before the rules of the routing.
    SetHeaderRoute(HeaderRoute),
    /// Copies of requests for the candidate; how they are made says `mirror` of the routing.
    SetMirrorRoute(MirrorRoute),
}

/// Requests that go to the candidate whatever its share is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct HeaderRoute {
    /// Its name; a later step of the same name takes its place.
    pub name: String,
    /// What a request must have; one of these is enough. Without any, the route of this name ends.
    #[serde(default, rename = "match", skip_serializing_if = "Vec::is_empty")]
    pub when: Vec<HeaderMatch>,
}

/// A field of a request's head.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct HeaderMatch {
    /// Its name.
    pub header_name: String,
    /// What it must be.
    pub header_value: TextMatch,
}

impl HeaderMatch {
    /// As a rule of a route.
    #[must_use]
    pub fn rule(&self) -> RouteRule {
        RouteRule {
            when: RequestMatch {
                headers: BTreeMap::from([(self.header_name.clone(), self.header_value.clone())]),
                ..RequestMatch::default()
            },
            to: Track::Candidate,
        }
    }
}

/// Copies of requests for the candidate.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct MirrorRoute {
    /// Of how many requests, in per cent; 0 ends it. Until the first such step nothing is copied.
    #[schemars(range(max = 100))]
    pub percentage: u8,
}

/// A pause.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct PauseStep {
    /// How long.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub duration: Option<Span>,
}

/// The candidate's instances, apart from its share.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct CanaryScale {
    /// How many, at most as many as the service has.
    pub replicas: u32,
}

/// An analysis by its template's name.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct InlineAnalysis {
    /// The template under `analysis:`.
    pub template: String,
    /// What the template's `${args.NAME}` stand for here.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub args: BTreeMap<String, String>,
}

/// An analysis in the background by its template's name.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct BackgroundAnalysis {
    /// The template under `analysis:`.
    pub template: String,
    /// What the template's `${args.NAME}` stand for here.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub args: BTreeMap<String, String>,
    /// The step from which on it measures, counted from 0 as in Argo Rollouts; default the first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub starting_step: Option<u32>,
}

/// Instance by instance.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Rolling {
    /// How many instances more than wanted may run; a number or per cent, rounded up; default 25%.
    pub max_surge: Count,
    /// How many fewer may be ready; a number or per cent, rounded down; default 0. (Kubernetes' default is 25 %; ours
    /// keeps the capacity, which a machine with room for one more can always do.)
    pub max_unavailable: Count,
    /// Analysed in the background from the first instance on.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub analysis: Option<InlineAnalysis>,
    /// How long the release is watched before it counts as stable, in observed healthy time; default 30s. The old
    /// instances are gone by then.
    pub scale_down_delay: Span,
}

impl Default for Rolling {
    fn default() -> Self {
        Self {
            max_surge: Count::Percent(25),
            max_unavailable: Count::Number(0),
            analysis: None,
            scale_down_delay: scale_down_delay(),
        }
    }
}

/// Old down, then new up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Recreate {}

/// A number of instances, or a share of them: `2` or `25%`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(try_from = "CountText", into = "String")]
pub enum Count {
    /// So many.
    Number(u32),
    /// So many per cent.
    Percent(u32),
}

impl Count {
    /// Of so many instances, a share rounded up (surge).
    #[must_use]
    pub fn of_rounded_up(self, replicas: u32) -> u32 {
        match self {
            Self::Number(n) => n,
            Self::Percent(p) => (replicas * p).div_ceil(100),
        }
    }

    /// Of so many instances, a share rounded down (unavailable).
    #[must_use]
    pub fn of_rounded_down(self, replicas: u32) -> u32 {
        match self {
            Self::Number(n) => n,
            Self::Percent(p) => replicas * p / 100,
        }
    }
}

/// YAML gives `2` as a number and `25%` as text; both are read through this.
#[derive(Debug, Clone)]
pub struct CountText(String);

impl CountText {
    pub(crate) fn new(text: &str) -> Self {
        Self(text.to_owned())
    }
}

impl JsonSchema for CountText {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Count".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({
            "type": ["integer", "string"],
            "minimum": 0,
            "format": "cutover-count",
            "pattern": "^[0-9]+ *%?$",
        })
    }
}

impl<'de> Deserialize<'de> for CountText {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;
        impl serde::de::Visitor<'_> for Visitor {
            type Value = CountText;
            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("a number such as 2 or a share such as 25%")
            }
            fn visit_str<E>(self, text: &str) -> Result<CountText, E> {
                Ok(CountText(text.to_owned()))
            }
            fn visit_u64<E>(self, number: u64) -> Result<CountText, E> {
                Ok(CountText(number.to_string()))
            }
            fn visit_i64<E>(self, number: i64) -> Result<CountText, E> {
                Ok(CountText(number.to_string()))
            }
        }
        deserializer.deserialize_any(Visitor)
    }
}

impl TryFrom<CountText> for Count {
    type Error = String;
    fn try_from(text: CountText) -> Result<Self, String> {
        let refuse = || {
            format!(
                "`{}` is neither a number such as 2 nor a share such as 25%",
                text.0
            )
        };
        match text.0.strip_suffix('%') {
            Some(share) => {
                let percent: u32 = share.trim().parse().map_err(|_| refuse())?;
                if percent > 100 {
                    Err(refuse())
                } else {
                    Ok(Self::Percent(percent))
                }
            }
            None => text.0.trim().parse().map(Self::Number).map_err(|_| refuse()),
        }
    }
}

impl From<Count> for String {
    fn from(count: Count) -> Self {
        match count {
            Count::Number(n) => n.to_string(),
            Count::Percent(p) => format!("{p}%"),
        }
    }
}
