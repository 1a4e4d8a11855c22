//! Which processes hold the listening socket of a TCP port.
//!
//! An instance counts as ready only if the socket on its port is its own: a health check alone could be answered
//! by a stranger that took the port first.

use std::collections::HashSet;
use std::fs;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use crate::proc_stat::ProcStat;

/// A process that holds a listening socket.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct PortOwner {
    /// Its pid.
    pub pid: u32,
    /// Its process group.
    pub group: u32,
    /// Its session.
    pub session: u32,
}

/// Every process that holds a socket listening where a connection to `addr` would arrive (the address itself or
/// the wildcard). Processes whose descriptors may not be read (other users') are left out.
///
/// # Errors
/// If `/proc/net/tcp` cannot be read.
pub fn port_owners(addr: SocketAddr) -> io::Result<Vec<PortOwner>> {
    let inodes = listening_inodes(addr)?;
    if inodes.is_empty() {
        return Ok(Vec::new());
    }
    let mut owners = Vec::new();
    for entry in fs::read_dir("/proc")?.flatten() {
        let Some(pid) = entry
            .file_name()
            .to_str()
            .and_then(|name| name.parse::<u32>().ok())
        else {
            continue;
        };
        if holds_socket(pid, &inodes)
            && let Ok(stat) = ProcStat::read(pid)
        {
            owners.push(PortOwner {
                pid,
                group: stat.group,
                session: stat.session,
            });
        }
    }
    Ok(owners)
}

/// Whether a process of the group or session that `leader` leads holds the socket listening at `addr`.
///
/// # Errors
/// If `/proc` cannot be read.
pub fn group_owns_port(leader: u32, addr: SocketAddr) -> io::Result<bool> {
    Ok(port_owners(addr)?
        .iter()
        .any(|owner| owner.pid == leader || owner.group == leader || owner.session == leader))
}

fn holds_socket(pid: u32, inodes: &HashSet<u64>) -> bool {
    let Ok(fds) = fs::read_dir(format!("/proc/{pid}/fd")) else {
        return false;
    };
    fds.flatten().any(|fd| {
        fs::read_link(fd.path())
            .ok()
            .and_then(|target| {
                let text = target.to_str()?;
                text.strip_prefix("socket:[")?.strip_suffix(']')?.parse().ok()
            })
            .is_some_and(|inode: u64| inodes.contains(&inode))
    })
}

fn listening_inodes(addr: SocketAddr) -> io::Result<HashSet<u64>> {
    let mut inodes = HashSet::new();
    for path in ["/proc/net/tcp", "/proc/net/tcp6"] {
        let text = match fs::read_to_string(path) {
            Ok(text) => text,
            // No IPv6 in this kernel.
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            Err(error) => return Err(error),
        };
        for line in text.lines().skip(1) {
            if let Some((local, inode)) = parse_listening(line)
                && local.port() == addr.port()
                && reaches(local.ip(), addr.ip())
            {
                inodes.insert(inode);
            }
        }
    }
    Ok(inodes)
}

fn reaches(listening: IpAddr, wanted: IpAddr) -> bool {
    listening.to_canonical() == wanted.to_canonical() || listening.is_unspecified()
}

/// `sl local_address rem_address st tx:rx tr:tm retrnsmt uid timeout inode …`, with state `0A` for listening.
fn parse_listening(line: &str) -> Option<(SocketAddr, u64)> {
    let fields: Vec<&str> = line.split_ascii_whitespace().collect();
    if *fields.get(3)? != "0A" {
        return None;
    }
    let (ip, port) = fields.get(1)?.split_once(':')?;
    let port = u16::from_str_radix(port, 16).ok()?;
    Some((SocketAddr::new(parse_ip(ip)?, port), fields.get(9)?.parse().ok()?))
}

/// The kernel prints each 32-bit word of the address in the machine's byte order.
fn parse_ip(hex: &str) -> Option<IpAddr> {
    let word = |index: usize| -> Option<[u8; 4]> {
        let digits = hex.get(index * 8..index * 8 + 8)?;
        Some(u32::from_str_radix(digits, 16).ok()?.to_ne_bytes())
    };
    match hex.len() {
        8 => Some(Ipv4Addr::from(word(0)?).into()),
        32 => {
            let mut octets = [0; 16];
            for (index, chunk) in octets.chunks_exact_mut(4).enumerate() {
                chunk.copy_from_slice(&word(index)?);
            }
            Some(Ipv6Addr::from(octets).into())
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::TcpListener;

    #[test]
    fn the_owner_of_a_port_of_our_own_is_this_process() {
        for text in ["127.0.0.1:0", "0.0.0.0:0"] {
            let listener = TcpListener::bind(text).unwrap();
            let port = listener.local_addr().unwrap().port();
            let addr = SocketAddr::from(([127, 0, 0, 1], port));
            let owners = port_owners(addr).unwrap();
            assert!(
                owners.iter().any(|owner| owner.pid == std::process::id()),
                "{text}"
            );
            assert!(group_owns_port(std::process::id(), addr).unwrap());
            assert!(!group_owns_port(1, addr).unwrap() || std::process::id() == 1);
            drop(listener);
            assert!(port_owners(addr).unwrap().is_empty(), "{text}");
        }
    }
}
