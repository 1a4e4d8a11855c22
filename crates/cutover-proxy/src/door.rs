//! What a listener wants before the first request: a PROXY header, TLS. Most want neither and have no door.

use std::net::IpAddr;
use std::sync::Arc;

use cutover_model::RoutePolicy;
use ipnet::IpNet;

use crate::snapshot::Snapshot;
use crate::tls::{TlsServer, UseOfBroken};
use crate::wire::Refusal;

/// Compiled from a route's policy.
#[derive(Debug)]
pub(crate) struct Door {
    pub(crate) tls: Option<Arc<TlsServer>>,
    announcing: Vec<IpNet>,
}

impl Door {
    /// Reads certificates, so it may block. One that serves already goes on with what it has loaded.
    pub(crate) fn new(
        policy: &RoutePolicy,
        current: &Snapshot,
        broken: UseOfBroken,
    ) -> Result<Option<Arc<Self>>, Refusal> {
        if policy.tls.is_none() && policy.proxy_protocol.is_empty() {
            return Ok(None);
        }
        let announcing = policy
            .proxy_protocol
            .iter()
            .map(|text| network(text))
            .collect::<Result<_, _>>()?;
        let tls = match &policy.tls {
            None => None,
            Some(wanted) => {
                let doors = current.routes.iter().filter_map(|route| route.door.as_ref());
                let mut known = doors.filter_map(|door| door.tls.as_ref());
                let same = known.find(|tls| tls.wanted() == wanted && tls.problem().is_none());
                Some(match same {
                    Some(same) => Arc::clone(same),
                    None => Arc::new(TlsServer::new(wanted.clone(), broken).map_err(|error| {
                        let what = error.to_string();
                        Refusal::InvalidTable { what }
                    })?),
                })
            }
        };
        Ok(Some(Arc::new(Self { tls, announcing })))
    }

    /// Whether a connection from there begins with a PROXY header. Nobody else's is read.
    pub(crate) fn announces(&self, peer: IpAddr) -> bool {
        let peer = peer.to_canonical();
        self.announcing.iter().any(|network| network.contains(&peer))
    }
}

/// A network, or one address.
fn network(text: &str) -> Result<IpNet, Refusal> {
    let parsed = text.parse().or_else(|_| text.parse::<IpAddr>().map(IpNet::from));
    parsed.map_err(|_| Refusal::InvalidTable {
        what: format!("{text} is no network"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_those_networks_announce() {
        let policy = RoutePolicy {
            proxy_protocol: vec!["10.0.0.0/8".to_owned(), "::1".to_owned()],
            ..RoutePolicy::default()
        };
        let door = Door::new(&policy, &Snapshot::default(), UseOfBroken::Refuse)
            .unwrap()
            .unwrap();
        for (peer, expected) in [
            ("10.1.2.3", true),
            ("::ffff:10.1.2.3", true),
            ("::1", true),
            ("11.0.0.1", false),
            ("::2", false),
        ] {
            assert_eq!(door.announces(peer.parse().unwrap()), expected, "{peer}");
        }
        let policy = RoutePolicy {
            proxy_protocol: vec!["ten".to_owned()],
            ..RoutePolicy::default()
        };
        assert!(Door::new(&policy, &Snapshot::default(), UseOfBroken::Refuse).is_err());
    }
}
