//! The product as a process of its own, on one core.

use std::fs::File;
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use super::cores;
use crate::child::authority::ISSUER;
use crate::data::Data;
use crate::process::Usage;

/// An authority that serves.
pub(super) struct Server {
    child: Child,
    pub(super) address: SocketAddr,
    /// From the start of the process until it said that it is ready.
    pub(super) started_in: Duration,
}

/// It does not take longer, whatever the size of the database.
const START_LIMIT: Duration = Duration::from_secs(30);

impl Server {
    /// Starts it on data that was made for it, and waits until it is ready. Its log goes to a file beside the data.
    pub(super) fn start(data: &Data) -> Result<Self> {
        let address = TcpListener::bind("127.0.0.1:0")?.local_addr()?;
        let log = File::create(data.log())?;
        let settings = [
            format!("issuer={ISSUER}"),
            format!("database.path={}", data.database().display()),
            format!("listen.authority={address}"),
        ];
        let mut command = Command::new(program()?);
        command.args(["serve", "authority"]).args(settings.iter().flat_map(|setting| ["--set", setting]));
        command.env_clear().env("PROPUSK_KEK", &data.kek).stdin(Stdio::null()).stdout(Stdio::null()).stderr(log);
        let begun = Instant::now();
        let child = cores::on_server(|| Ok(command.spawn()?)).context("propusk does not start")?;
        let mut server = Self { child, address, started_in: Duration::ZERO };
        while !server.is_ready() {
            if let Some(status) = server.child.try_wait()? {
                bail!("propusk ended with {status}: {}", std::fs::read_to_string(data.log())?);
            }
            if begun.elapsed() > START_LIMIT {
                bail!("propusk is not ready after {START_LIMIT:?}");
            }
            std::thread::sleep(Duration::from_millis(1));
        }
        server.started_in = begun.elapsed();
        Ok(server)
    }

    fn is_ready(&self) -> bool {
        let ask = || {
            let mut stream = TcpStream::connect(self.address)?;
            stream.write_all(b"GET /-/ready HTTP/1.1\r\nhost: bench\r\nconnection: close\r\n\r\n")?;
            let mut answer = String::new();
            stream.read_to_string(&mut answer)?;
            Ok::<_, std::io::Error>(answer.starts_with("HTTP/1.1 200"))
        };
        ask().unwrap_or(false)
    }

    pub(super) fn usage(&self) -> Result<Usage> {
        Usage::of(self.child.id())
    }

    /// Ends it as a service manager does.
    pub(super) fn stop(mut self) -> Result<()> {
        kill(Pid::from_raw(i32::try_from(self.child.id())?), Signal::SIGTERM)?;
        let status = self.child.wait()?;
        if status.success() { Ok(()) } else { bail!("propusk ended with {status}") }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It has ended already, or something went wrong.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// It was built beside this program.
fn program() -> Result<PathBuf> {
    let program = std::env::current_exe()?.with_file_name("propusk");
    if !program.exists() {
        bail!("{} is missing: start this by `cargo xtask bench authority`", program.display());
    }
    Ok(program)
}
