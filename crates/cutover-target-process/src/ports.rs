//! Which port an instance gets.

use std::collections::BTreeSet;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use cutover_model::Diagnostic;
use cutover_spec::PortRange;
use socket2::{Domain, Socket, Type};

/// How many busy ports a message names.
const NAMED: usize = 5;

/// The ports of the range that nobody reserved, beginning after `last`, the one given out before: a port that was
/// just given up may still be known to somebody as its old owner's.
fn candidates(range: PortRange, last: u16, reserved: &BTreeSet<u16>) -> impl Iterator<Item = u16> + '_ {
    let start = if (range.first..range.last).contains(&last) {
        last + 1
    } else {
        range.first
    };
    (start..=range.last)
        .chain(range.first..start)
        .filter(move |port| !reserved.contains(port))
}

/// A free port of the range, or why there is none. Ports that are in use are passed over.
pub(crate) fn pick(
    range: PortRange,
    last: u16,
    reserved: &BTreeSet<u16>,
    what: &str,
) -> Result<u16, Diagnostic> {
    let mut busy = Vec::new();
    for port in candidates(range, last, reserved) {
        match check_free(port) {
            Ok(()) => return Ok(port),
            Err(error) => {
                // Finding the owner reads all of /proc: only as often as it is shown.
                let reason = (busy.len() < NAMED)
                    .then(|| owner(port))
                    .flatten()
                    .unwrap_or_else(|| error.to_string());
                tracing::warn!(port, reason, "passed over a port that is in use");
                busy.push((port, reason));
            }
        }
    }
    let ours = (range.first..=range.last)
        .filter(|port| reserved.contains(port))
        .count();
    let mut diagnostic = Diagnostic::error(
        "target.no-free-port",
        format!("{what} gets no port: all of {} are taken", String::from(range)),
    )
    .note("by instances of this application", ours.to_string())
    .note("by others", busy.len().to_string());
    for (port, reason) in busy.iter().take(NAMED) {
        diagnostic = diagnostic.note(port.to_string(), reason.clone());
    }
    Err(diagnostic.help(listing(range)))
}

/// Whether so many ports of the range are free now, or why not. Nothing is reserved: it is a look before anything is
/// started, and `pick` decides.
pub fn check_room(range: PortRange, needed: u32, what: &str) -> Result<(), Diagnostic> {
    let mut free = 0;
    let mut busy = Vec::new();
    for port in range.first..=range.last {
        if free >= needed {
            return Ok(());
        }
        match check_free(port) {
            Ok(()) => free += 1,
            Err(_) => busy.push(port),
        }
    }
    if free >= needed {
        return Ok(());
    }
    let mut diagnostic = Diagnostic::error(
        "target.no-free-port",
        format!(
            "{what} needs {needed} ports; of {} {free} are free",
            String::from(range)
        ),
    );
    for port in busy.iter().take(NAMED) {
        if let Some(owner) = owner(*port) {
            diagnostic = diagnostic.note(port.to_string(), owner);
        }
    }
    Err(diagnostic.help(listing(range)))
}

/// The command that shows who listens in a range.
fn listing(range: PortRange) -> String {
    format!("ss -ltnp 'sport >= {} and sport <= {}'", range.first, range.last)
}

/// Binds the wildcard addresses without listening: that fails whichever address of the port is listened on, and
/// nobody can connect meanwhile.
fn check_free(port: u16) -> io::Result<()> {
    let v4 = Socket::new(Domain::IPV4, Type::STREAM, None)?;
    v4.set_reuse_address(true)?;
    v4.bind(&SocketAddr::new(IpAddr::V4(Ipv4Addr::UNSPECIFIED), port).into())?;
    // A machine without IPv6 has nobody listening there.
    let Ok(v6) = Socket::new(Domain::IPV6, Type::STREAM, None) else {
        return Ok(());
    };
    v6.set_only_v6(true)?;
    v6.set_reuse_address(true)?;
    match v6.bind(&SocketAddr::new(IpAddr::V6(Ipv6Addr::UNSPECIFIED), port).into()) {
        Err(error) if error.kind() == io::ErrorKind::AddrInUse => Err(error),
        _ => Ok(()),
    }
}

/// Who has a port that cannot be listened on now, for people; nothing if it can be.
pub(crate) fn taken_by(port: u16) -> Option<String> {
    let error = check_free(port).err()?;
    Some(owner(port).unwrap_or_else(|| error.to_string()))
}

/// Who listens there, for people.
pub(crate) fn owner(port: u16) -> Option<String> {
    let addr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), port);
    let owners = cutover_os::port_owners(addr).ok()?;
    owners.first().map(|owner| {
        let name = fs_err::read_to_string(format!("/proc/{}/comm", owner.pid)).unwrap_or_default();
        format!("pid {} ({}) listens there", owner.pid, name.trim())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_range_that_is_taken_has_no_room() {
        let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let port = taken.local_addr().unwrap().port();
        let range = PortRange {
            first: port,
            last: port,
        };
        let error = check_room(range, 1, "api 1.1.0").unwrap_err();
        assert_eq!(error.code, "target.no-free-port");
        assert!(error.message.contains("0 are free"), "{}", error.message);
        assert!(check_room(range, 0, "api 1.1.0").is_ok());
    }

    #[test]
    fn ports_go_round_and_reserved_ones_are_never_given() {
        let range = PortRange { first: 20, last: 24 };
        let reserved = BTreeSet::from([21]);
        let order = |last| candidates(range, last, &reserved).collect::<Vec<_>>();
        assert_eq!(order(0), [20, 22, 23, 24]);
        assert_eq!(order(22), [23, 24, 20, 22]);
        assert_eq!(order(24), [20, 22, 23, 24]);
        assert_eq!(order(23), [24, 20, 22, 23]);
        let top = PortRange {
            first: 65_535,
            last: 65_535,
        };
        assert_eq!(
            candidates(top, 65_535, &BTreeSet::new()).collect::<Vec<_>>(),
            [65_535]
        );
    }

    #[test]
    fn a_busy_port_is_passed_over_and_named_when_it_was_the_last() {
        for address in ["127.0.0.1:0", "0.0.0.0:0", "[::1]:0", "127.0.0.2:0"] {
            let Ok(listener) = std::net::TcpListener::bind(address) else {
                continue;
            };
            let port = listener.local_addr().unwrap().port();
            assert!(check_free(port).is_err(), "{address}");
            let range = PortRange {
                first: port,
                last: port,
            };
            let error = pick(range, 0, &BTreeSet::new(), "api").unwrap_err();
            assert_eq!(error.code, "target.no-free-port");
            assert!(error.notes.iter().any(|(key, _)| key == &port.to_string()));
            drop(listener);
            assert_eq!(pick(range, 0, &BTreeSet::new(), "api").unwrap(), port);
        }
    }
}
