//! Which revision a request is for, and by what right: a rule, a session, a turn, or the draw that is the default.
//!
//! Decided once, before anything is sent. Only a draw says something about the revisions to a sequential test, so the
//! others are counted apart.

use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

use cutover_model::RoutePolicy;
use cutover_model::routing::{SplitMode, Sticky};
use hyper::Request;
use hyper::header::HeaderValue;
use rand::Rng;

use crate::pick;
use crate::rules::Rule;
use crate::seen::Unit;
use crate::session::{Identity, SessionKey, SessionKeys};
use crate::snapshot::{Revision, Route};
use crate::turns;
use crate::wire::Refusal;

/// What a route asks for beyond the draw.
#[derive(Debug)]
pub(crate) struct Selection {
    rules: Vec<Rule>,
    split: Split,
}

#[derive(Debug)]
enum Split {
    Draw,
    Turns,
    Cookie {
        key: Arc<SessionKey>,
        name: String,
        /// What follows the value.
        attributes: String,
    },
    Source {
        key: Arc<SessionKey>,
    },
}

/// Where one request goes.
#[derive(Debug)]
pub(crate) struct Assignment {
    pub(crate) revision: Arc<Revision>,
    /// How it came there.
    pub(crate) draw: Draw,
    /// The cookie that the client is given.
    pub(crate) session: Option<HeaderValue>,
}

/// What a request says about the revisions.
#[derive(Debug, Default)]
pub(crate) struct Draw {
    /// It was assigned at random, with the chances of the split, for itself.
    pub(crate) drawn: bool,
    /// Of what is drawn, which stratum counts it.
    pub(crate) stratum: u8,
    /// The session that it belongs to, which was drawn as a whole.
    pub(crate) unit: Option<Unit>,
}

impl Selection {
    /// Nothing for a route that asks for nothing.
    ///
    /// # Errors
    /// If a rule cannot be understood, or there is no key for sessions.
    pub(crate) fn compile(policy: &RoutePolicy, keys: &SessionKeys) -> Result<Option<Self>, Refusal> {
        let split = match (&policy.sticky, policy.split) {
            (None, SplitMode::Random) => Split::Draw,
            (None, SplitMode::Smooth) => Split::Turns,
            (Some(Sticky::Source {}), _) => Split::Source { key: keys.get()? },
            (Some(Sticky::Cookie { name, max_age }), _) => {
                let age = max_age.as_millis().div_ceil(1_000);
                let secure = if policy.tls.is_some() { "; Secure" } else { "" };
                Split::Cookie {
                    key: keys.get()?,
                    name: name.clone(),
                    attributes: format!("; Max-Age={age}; Path=/; HttpOnly; SameSite=Lax{secure}"),
                }
            }
        };
        let rules: Result<Vec<_>, String> = policy.rules.iter().map(Rule::compile).collect();
        let rules = rules.map_err(|what| Refusal::InvalidTable { what })?;
        let asks = !rules.is_empty() || !matches!(split, Split::Draw);
        Ok(asks.then_some(Self { rules, split }))
    }
}

impl Assignment {
    fn new(revision: &Arc<Revision>, drawn: bool) -> Self {
        Self {
            revision: Arc::clone(revision),
            draw: Draw {
                drawn,
                ..Draw::default()
            },
            session: None,
        }
    }
}

/// Decides; `None` when no revision takes requests. `generation` is that of the table.
pub(crate) fn assign<B>(
    route: &Route,
    generation: u64,
    request: &Request<B>,
    client: IpAddr,
    random: &mut impl Rng,
) -> Option<Assignment> {
    let mut assignment = choose(route, generation, request, client, random)?;
    // Only between two revisions: what nothing is drawn against is compared with nothing.
    let draw = &mut assignment.draw;
    if (draw.drawn || draw.unit.is_some()) && assignment.revision.odds.is_some() {
        let found = route.strata.iter().position(|when| when.matches(request, client));
        draw.stratum = u8::try_from(found.unwrap_or(route.strata.len())).unwrap_or(u8::MAX);
    }
    Some(assignment)
}

fn choose<B>(
    route: &Route,
    generation: u64,
    request: &Request<B>,
    client: IpAddr,
    random: &mut impl Rng,
) -> Option<Assignment> {
    let Some(selection) = &route.selection else {
        return pick::revision(route, random).map(|revision| Assignment::new(revision, true));
    };
    let ruled = selection.rules.iter().find_map(|rule| {
        let mut revisions = route.revisions.iter();
        let side = revisions.find(|revision| revision.track == rule.to && !revision.endpoints.is_empty())?;
        rule.matches(request, client).then_some(side)
    });
    if let Some(revision) = ruled {
        return Some(Assignment::new(revision, false));
    }
    match &selection.split {
        Split::Draw => pick::revision(route, random).map(|revision| Assignment::new(revision, true)),
        Split::Turns => turns::next(route).map(|revision| Assignment::new(revision, false)),
        Split::Source { key } => {
            let identity = Identity::Address(client);
            let revision = placed(route, key, identity)?;
            Some(Assignment {
                draw: of_session(route, revision, identity, false),
                ..Assignment::new(revision, false)
            })
        }
        Split::Cookie {
            key,
            name,
            attributes,
        } => {
            let known = key.read(request.headers(), name);
            let number = known
                .as_ref()
                .map_or_else(|| random.random(), |session| session.number);
            let revision = placed(route, key, Identity::Number(number))?;
            let id = &revision.state.id;
            let cookie = match &known {
                Some(session) if session.revision == id.to_string() => {
                    HeaderValue::from_str(&format!("{name}={}{attributes}", session.text))
                }
                _ => {
                    route
                        .state
                        .sessions_moved
                        .fetch_add(u64::from(known.is_some()), Relaxed);
                    let text = key.sign(number, generation, id);
                    HeaderValue::from_str(&format!("{name}={text}{attributes}"))
                }
            };
            Some(Assignment {
                session: cookie.ok(),
                draw: of_session(route, revision, Identity::Number(number), known.is_none()),
                ..Assignment::new(revision, false)
            })
        }
    }
}

/// A session is drawn once, with its first request under a split: afterwards one client's bad luck would be counted again and
/// again. Where there is no split, whoever comes without a session is.
fn of_session(route: &Route, revision: &Revision, identity: Identity, has_none: bool) -> Draw {
    let candidate = route.candidate.and_then(|index| route.revisions.get(index));
    let unit = candidate
        .filter(|_| revision.odds.is_some())
        .and_then(|candidate| Unit::of(&candidate.state, identity));
    let (unit, drawn) = unit.map_or((None, has_none), |(unit, is_new)| (Some(unit), is_new));
    Draw {
        drawn,
        unit,
        ..Draw::default()
    }
}

/// The revision on whose part of the line a client stands.
fn placed<'a>(route: &'a Route, key: &SessionKey, identity: Identity) -> Option<&'a Arc<Revision>> {
    let (total, last) = *route.split.last()?;
    if route.split.len() == 1 {
        return route.revisions.get(last);
    }
    // Whose name goes into the place must be the same as long as the two share the requests.
    let candidate = route.candidate.unwrap_or(last);
    let place = key.place(identity, &route.revisions.get(candidate)?.state.id, total);
    pick::at(route, place)
}
