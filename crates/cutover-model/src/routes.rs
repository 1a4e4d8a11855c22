//! Who gets which requests: what a router is told, and what it reports back.

use serde::{Deserialize, Serialize};

use crate::{InstanceId, RevisionId, RoutePolicy, ServiceName, Track, Weight};

/// One address that takes requests.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Endpoint {
    /// The instance behind it.
    pub instance: InstanceId,
    /// `host:port`.
    pub address: String,
}

/// One revision behind a route.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RoutedRevision {
    /// The revision.
    pub revision: RevisionId,
    /// Which of the two it is.
    pub track: Track,
    /// Its share of the requests.
    pub weight: Weight,
    /// Its addresses, sorted by instance.
    pub endpoints: Vec<Endpoint>,
}

/// One service's route.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ServiceRoute {
    /// The service.
    pub service: ServiceName,
    /// `host:port` where its clients connect.
    pub listen: String,
    /// How its requests are routed.
    #[serde(default, skip_serializing_if = "RoutePolicy::is_default")]
    pub policy: RoutePolicy,
    /// Its revisions, sorted by id. When no weight is above none, the service is out: 503 with Retry-After.
    pub revisions: Vec<RoutedRevision>,
}

/// All routes of an application: applied as one snapshot.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RouteTable {
    /// Sorted by service.
    pub services: Vec<ServiceRoute>,
}

impl RouteTable {
    /// The route of a service.
    #[must_use]
    pub fn service(&self, name: &ServiceName) -> Option<&ServiceRoute> {
        self.services.iter().find(|route| route.service == *name)
    }

    /// A revision as it is routed now.
    #[must_use]
    pub fn revision(&self, id: &RevisionId) -> Option<&RoutedRevision> {
        self.service(&id.service)?
            .revisions
            .iter()
            .find(|routed| routed.revision == *id)
    }

    /// The share of a revision; none when it is not routed.
    #[must_use]
    pub fn weight(&self, id: &RevisionId) -> Weight {
        self.revision(id).map_or(Weight::NONE, |routed| routed.weight)
    }
}
