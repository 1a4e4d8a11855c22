//! What client and supervisor say to each other: JSON, a line each.
//!
//! The supervisor says hello first, then answers one request after the other. A client that finds another protocol
//! number in the hello says nothing. Unknown fields are ignored, so that fields can be added within one number.

use cutover_model::{Fence, Instance, InstanceId, StoreId};
use cutover_ports::RevisionSpec;
use serde::{Deserialize, Serialize};

use crate::problem::Refusal;
use crate::{SidecarSpec, SidecarStatus};

/// Raised when an older side could misread what it is told.
pub const PROTOCOL: u32 = 1;

/// No line is longer, in bytes: an environment and a list of a thousand instances fit.
pub(crate) const LONGEST_LINE: u64 = 4 * 1024 * 1024;

/// What the supervisor says first.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Hello {
    /// [`PROTOCOL`] of its build.
    pub protocol: u32,
    /// The version of Cutover it was built from.
    pub version: String,
    /// Its process.
    pub pid: u32,
    /// The store that its instances belong to; none before the first write.
    pub store: Option<StoreId>,
}

/// What a client asks. Holds secrets (environments), so it cannot be printed.
#[derive(Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) enum Request {
    Observe,
    Ensure {
        fence: Fence,
        spec: Box<RevisionSpec>,
        replicas: u32,
    },
    /// Answered after a few seconds at most, whether the instance is gone by then or not.
    Remove {
        fence: Fence,
        instance: InstanceId,
    },
    /// From now on the instances belong to this store.
    AdoptStore {
        fence: Fence,
    },
    EnsureSidecar {
        fence: Fence,
        sidecar: SidecarSpec,
    },
    /// As [`Request::Remove`].
    StopSidecar {
        fence: Fence,
        name: String,
    },
    /// Another process takes the place of the sidecar's. An older supervisor does not know this.
    ReplaceSidecar {
        fence: Fence,
        name: String,
        /// What it is from now on.
        command: Vec<String>,
        /// Added for this start alone.
        arguments: Vec<String>,
    },
    Sidecars,
    Shutdown {
        force: bool,
    },
}

/// What the supervisor answers.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) enum Response {
    Done,
    Instances(Vec<Instance>),
    Gone(bool),
    Sidecar(SidecarStatus),
    Sidecars(Vec<SidecarStatus>),
    Refused(Refusal),
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Texts as protocol 1 has written them; they must stay readable for as long as the number stays.
    #[test]
    fn protocol_1_stays_readable() {
        let fence = r#"{"store":"s","generation":7}"#;
        for request in [
            r#""observe""#.to_owned(),
            format!(r#"{{"remove":{{"fence":{fence},"instance":"api-1","added":1}}}}"#),
            format!(r#"{{"stopSidecar":{{"fence":{fence},"name":"proxy"}}}}"#),
            format!(
                r#"{{"replaceSidecar":{{"fence":{fence},"name":"proxy","command":["x"],"arguments":["--take-over"]}}}}"#
            ),
            r#"{"shutdown":{"force":true}}"#.to_owned(),
            format!(
                r#"{{"ensureSidecar":{{"fence":{fence},"sidecar":{{"name":"p","command":["x"],"listen":[],"stopGrace":"5s"}}}}}}"#
            ),
            format!(
                r#"{{"ensure":{{"fence":{fence},"replicas":2,"spec":{{"revision":"api@1.0.0#aa","target":{{"process":{{"command":["x"]}}}},"environment":{{}},"health":{{}},"track":"stable","slot":null}}}}}}"#
            ),
        ] {
            assert!(serde_json::from_str::<Request>(&request).is_ok(), "{request}");
        }
        for response in [
            r#""done""#,
            r#"{"gone":true}"#,
            r#"{"instances":[{"id":"api-1","revision":"api@1.0.0#aa","address":null,"state":"ready","since":"2026-01-01T00:00:00Z","restarts":0}]}"#,
            r#"{"refused":{"unknown":false,"transient":true,"diagnostic":{"code":"a.b","severity":"error","message":"m"}}}"#,
        ] {
            assert!(serde_json::from_str::<Response>(response).is_ok(), "{response}");
        }
        let hello: Hello =
            serde_json::from_str(r#"{"protocol":1,"version":"0","pid":1,"store":null,"new":0}"#).unwrap();
        assert_eq!(hello.protocol, 1);
    }
}
