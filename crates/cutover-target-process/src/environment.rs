//! What a child finds in its environment.
//!
//! Nothing is passed on by chance: an instance that restarts next month, or after a reboot, must find what it found
//! when it was first started (invariant I7), whoever's shell started the supervisor.

use std::collections::BTreeMap;

use cutover_model::Slot;
use cutover_ports::RevisionSpec;

/// What children get of the supervisor's own environment.
const PASSED_ON: [&str; 9] = [
    "HOME", "LANG", "LC_ALL", "LOGNAME", "PATH", "SHELL", "TMPDIR", "TZ", "USER",
];

/// What the supervisor gets of the environment of whoever starts it, besides [`PASSED_ON`].
const FOR_THE_SUPERVISOR: [&str; 5] = [
    "RUST_BACKTRACE",
    "RUST_LOG",
    "XDG_CONFIG_HOME",
    "XDG_RUNTIME_DIR",
    "XDG_STATE_HOME",
];

/// Says whose child a process is, so that one that was started just before the supervisor was killed is found again.
pub(crate) const SUPERVISED: &str = "CUTOVER_SUPERVISED";

fn chosen(names: &[&str]) -> BTreeMap<String, String> {
    names
        .iter()
        .filter_map(|name| Some(((*name).to_owned(), std::env::var(name).ok()?)))
        .collect()
}

/// The part of this process's environment that every child gets.
pub(crate) fn base() -> BTreeMap<String, String> {
    chosen(&PASSED_ON)
}

/// The part of this process's environment that the supervisor gets.
pub(crate) fn for_supervisor() -> BTreeMap<String, String> {
    let mut environment = base();
    environment.extend(chosen(&FOR_THE_SUPERVISOR));
    environment
}

/// An instance's environment: the base, the revision's own, and what Cutover says of it. HOST may be set by the
/// revision; the others are Cutover's to say.
pub(crate) fn for_instance(
    base: BTreeMap<String, String>,
    spec: &RevisionSpec,
    port: Option<u16>,
    mark: &str,
) -> BTreeMap<String, String> {
    let mut environment = base;
    environment.insert("HOST".to_owned(), "127.0.0.1".to_owned());
    environment.extend(spec.environment.clone());
    let version = spec.revision.version.to_string();
    let place = spec.slot.map_or_else(|| spec.track.word(), Slot::word);
    for (name, value) in [
        ("VERSION", version.as_str()),
        ("APP_VERSION", version.as_str()),
        ("APP_ENVIRONMENT", place),
        ("TRACK", spec.track.word()),
        (SUPERVISED, mark),
    ] {
        environment.insert(name.to_owned(), value.to_owned());
    }
    match port {
        Some(port) => environment.insert("PORT".to_owned(), port.to_string()),
        None => environment.remove("PORT"),
    };
    environment
}

#[cfg(test)]
mod tests {
    use super::*;
    use cutover_model::Track;
    use cutover_spec::{Health, ProcessTarget, Target};

    fn spec(slot: Option<Slot>) -> RevisionSpec {
        RevisionSpec {
            revision: "api@1.1.0#3fa29c".parse().unwrap(),
            target: Target::Process(ProcessTarget {
                command: vec!["x".to_owned()],
                ports: None,
                directory: None,
                ignore: Vec::new(),
                stop_grace: cutover_model::Span::ZERO,
            }),
            environment: BTreeMap::from([
                ("PORT".to_owned(), "1".to_owned()),
                ("HOST".to_owned(), "0.0.0.0".to_owned()),
                ("OWN".to_owned(), "yes".to_owned()),
            ]),
            health: Health::default(),
            track: Track::Candidate,
            slot,
        }
    }

    #[test]
    fn cutover_has_the_last_word_but_for_host() {
        let base = BTreeMap::from([("PATH".to_owned(), "/bin".to_owned())]);
        let of = |slot, port| for_instance(base.clone(), &spec(slot), port, "m/x");
        let environment = of(None, Some(20_000));
        for (name, value) in [
            ("PATH", "/bin"),
            ("PORT", "20000"),
            ("HOST", "0.0.0.0"),
            ("OWN", "yes"),
            ("VERSION", "1.1.0"),
            ("APP_VERSION", "1.1.0"),
            ("APP_ENVIRONMENT", "candidate"),
            ("TRACK", "candidate"),
            (SUPERVISED, "m/x"),
        ] {
            assert_eq!(environment[name], value, "{name}");
        }
        let blue = of(Some(Slot::Blue), None);
        assert_eq!(blue["APP_ENVIRONMENT"], "blue");
        assert_eq!(blue["TRACK"], "candidate");
        assert!(!blue.contains_key("PORT"));
    }
}
