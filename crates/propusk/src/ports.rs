//! Sockets to listen on, drawing free ports, and who has a port that is taken.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener};

use anyhow::{Context as _, Result};
use propusk_core::env::{Random as _, SystemRandom};

/// Free ports are drawn below the range that systems take for outgoing connections (from 32768 on Linux, 49152
/// elsewhere): no connection of somebody's takes the port of a part that is being restarted.
const DRAWN: std::ops::Range<u16> = 20_000..32_000;

/// How many are tried before the system is asked for any.
const DRAWS: usize = 200;

/// Listens at the address that `key` configures. Port 0 draws a free one.
pub(crate) fn bind(key: &str, address: SocketAddr) -> Result<TcpListener> {
    if address.port() == 0 {
        return bind_free(address.ip()).with_context(|| format!("{key}: no free port on {}", address.ip()));
    }
    TcpListener::bind(address).map_err(|error| explain(key, address, error))
}

fn bind_free(ip: IpAddr) -> io::Result<TcpListener> {
    for _ in 0..DRAWS {
        let mut bits = [0; 2];
        SystemRandom.fill(&mut bits);
        let port = DRAWN.start + u16::from_ne_bytes(bits) % (DRAWN.end - DRAWN.start);
        match TcpListener::bind((ip, port)) {
            Err(error) if error.kind() == io::ErrorKind::AddrInUse => {}
            other => return other,
        }
    }
    TcpListener::bind((ip, 0))
}

fn explain(key: &str, address: SocketAddr, error: io::Error) -> anyhow::Error {
    if error.kind() != io::ErrorKind::AddrInUse {
        return anyhow::Error::new(error).context(format!("{key}: cannot listen on {address}"));
    }
    let holder = match holder::of_port(address.port()) {
        Some(holder) => format!(", by {holder}"),
        None => format!("; `ss -ltnp 'sport = :{}'`, as root, shows by whom", address.port()),
    };
    let free = SocketAddr::new(address.ip(), 0);
    anyhow::anyhow!("{key}: {address} is in use{holder}. End that, or listen elsewhere: --set {key}={free}")
}

/// The base URL at which processes of this machine reach a listener.
pub(crate) fn url(address: SocketAddr, is_tls: bool) -> String {
    let scheme = if is_tls { "https" } else { "http" };
    format!("{scheme}://{}", reachable(address))
}

/// Where processes of this machine reach a listener.
pub(crate) fn reachable(address: SocketAddr) -> SocketAddr {
    let ip = match address.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => IpAddr::V4(Ipv4Addr::LOCALHOST),
        IpAddr::V6(ip) if ip.is_unspecified() => IpAddr::V6(Ipv6Addr::LOCALHOST),
        ip => ip,
    };
    SocketAddr::new(ip, address.port())
}

/// Finds the process that listens on a port, as far as /proc tells it.
mod holder {
    use std::fs;

    /// `process 123 (nginx)`.
    pub(super) fn of_port(port: u16) -> Option<String> {
        let sockets: Vec<String> = ["/proc/net/tcp", "/proc/net/tcp6"]
            .iter()
            .filter_map(|file| fs::read_to_string(file).ok())
            .flat_map(|table| listening_inodes(&table, port))
            .map(|inode| format!("socket:[{inode}]"))
            .collect();
        if sockets.is_empty() {
            return None;
        }
        let processes = fs::read_dir("/proc").ok()?.flatten();
        let pids = processes.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
        pids.into_iter().find(|pid| has_socket(*pid, &sockets)).map(|pid| {
            let name = fs::read_to_string(format!("/proc/{pid}/comm")).unwrap_or_default();
            format!("process {pid} ({})", name.trim())
        })
    }

    fn has_socket(pid: u32, sockets: &[String]) -> bool {
        let Ok(files) = fs::read_dir(format!("/proc/{pid}/fd")) else { return false };
        let mut targets = files.flatten().filter_map(|file| fs::read_link(file.path()).ok());
        targets.any(|target| sockets.iter().any(|socket| target.as_os_str() == socket.as_str()))
    }

    /// The inodes of listening sockets (state 0A) with that local port, from a table of /proc/net.
    fn listening_inodes(table: &str, port: u16) -> Vec<String> {
        let wanted = format!(":{port:04X}");
        let inode = |line: &str| {
            let fields: Vec<&str> = line.split_whitespace().collect();
            let is_listening = fields.get(3) == Some(&"0A") && fields.get(1)?.ends_with(&wanted);
            if is_listening { fields.get(9).map(|&inode| inode.to_owned()) } else { None }
        };
        table.lines().skip(1).filter_map(inode).collect()
    }

    #[cfg(test)]
    mod tests {
        use super::*;

        #[test]
        fn inodes_of_a_table() {
            let table = "\
  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode
   0: 0100007F:1F91 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 4242 1 0
   1: 0100007F:1F91 0100007F:C350 01 00000000:00000000 00:00000000 00000000     0        0 4243 1 0
   2: 0100007F:1F90 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 4244 1 0
";
            assert_eq!(listening_inodes(table, 8081), ["4242"]);
            assert_eq!(listening_inodes(table, 80), Vec::<String>::new());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_taken_port_is_an_error_that_names_key_holder_and_way_out() {
        let held = bind("listen.cars", "127.0.0.1:0".parse().unwrap()).unwrap();
        let address = held.local_addr().unwrap();
        assert!(DRAWN.contains(&address.port()));
        let error = format!("{:#}", bind("listen.gateway", address).unwrap_err());
        let own = format!("process {}", std::process::id());
        for part in [&address.to_string(), &own, "--set listen.gateway=127.0.0.1:0"] {
            assert!(error.contains(part), "{part}: {error}");
        }
    }

    #[test]
    fn urls_lead_to_this_machine() {
        assert_eq!(url("0.0.0.0:80".parse().unwrap(), false), "http://127.0.0.1:80");
        assert_eq!(url("[::]:80".parse().unwrap(), true), "https://[::1]:80");
        assert_eq!(url("[::1]:80".parse().unwrap(), false), "http://[::1]:80");
    }
}
