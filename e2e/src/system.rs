//! A whole system: `propusk up` as a child process, told apart from the tests by sockets only.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;
use serde::Deserialize;
use serde_json::Value;

use crate::http::Http;
use crate::process::{Guardian, Log, Process, is_gone, is_stopped, propusk, send};

/// How long a start may take in a dev build on a busy machine.
pub const START_LIMIT: Duration = Duration::from_secs(60);

/// How a system is to be started.
#[derive(Clone)]
pub struct Options {
    arguments: Vec<String>,
    fast_hashing: bool,
}

impl Default for Options {
    fn default() -> Self {
        Self::new()
    }
}

impl Options {
    /// A system of its own: temporary data, free ports, one process, passwords hashed at next to no cost.
    pub fn new() -> Self {
        Self { arguments: vec!["--ephemeral".to_owned()], fast_hashing: true }
    }

    /// On a data directory that outlives it. The ports of authority and gateway are drawn now, so that every start
    /// with these options has the same addresses.
    pub fn on(data: &Path) -> Self {
        let mut options = Self { arguments: vec!["--data".to_owned(), data.display().to_string()], fast_hashing: true };
        // Both are held until both are drawn: they differ.
        let held = ["authority", "gateway"].map(|name| (name, crate::raw::listener()));
        for (name, listener) in &held {
            let address = listener.local_addr().expect("an address");
            options = options.set(&format!("listen.{name}"), &address.to_string());
        }
        options
    }

    /// Each part as a process of its own.
    pub fn split(mut self) -> Self {
        self.arguments.push("--split".to_owned());
        self
    }

    /// One configuration key.
    pub fn set(mut self, key: &str, value: &str) -> Self {
        self.arguments.extend(["--set".to_owned(), format!("{key}={value}")]);
        self
    }

    /// Passwords hashed as in production.
    pub fn real_hashing(mut self) -> Self {
        self.fast_hashing = false;
        self
    }

    /// The command line.
    pub fn command(&self) -> Command {
        let mut options = self.clone();
        if options.fast_hashing {
            options = options.set("argon2.m_kib", "8").set("argon2.t", "1");
        }
        let mut command = product();
        command.args(["up", "--json"]).args(&options.arguments);
        command
    }
}

/// The product, without what the developer's own environment would tell it.
pub fn product() -> Command {
    without_settings(Command::new(propusk()))
}

fn without_settings(mut command: Command) -> Command {
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("PROPUSK_") {
            command.env_remove(name);
        }
    }
    command
}

/// The ready line: one JSON document on standard output.
#[derive(Debug, Clone, Deserialize)]
pub struct Ready {
    /// The claim `iss`.
    pub issuer: String,
    /// Base address of the authority.
    pub authority: String,
    /// Base address of the gateway.
    pub gateway: String,
    /// Address of the gRPC listener.
    pub feed: String,
    /// The data directory.
    pub data: PathBuf,
    /// Base addresses of the demo services.
    pub services: std::collections::BTreeMap<String, String>,
    /// The first administrator.
    pub admin: Account,
    /// The demo users.
    pub users: Vec<Account>,
    /// The demo clients.
    pub clients: Vec<ClientAccount>,
    /// Process and command line of each part.
    pub processes: std::collections::BTreeMap<String, Part>,
}

/// A person of the demo data.
#[derive(Debug, Clone, Deserialize)]
pub struct Account {
    /// Username.
    pub username: String,
    /// Id; the administrator's is not in the ready line.
    pub id: Option<String>,
    /// Only at the first start on a data directory.
    pub password: Option<String>,
}

/// A client of the demo data.
#[derive(Debug, Clone, Deserialize)]
pub struct ClientAccount {
    /// Its id.
    pub client_id: String,
    /// Only at the first start on a data directory.
    pub client_secret: Option<String>,
}

/// A part of the system.
#[derive(Debug, Clone, Deserialize)]
pub struct Part {
    /// Process id.
    pub pid: u32,
    /// What starts it again.
    pub argv: Vec<String>,
}

/// A part that is stopped. Dropped, it goes on.
#[must_use = "it goes on when this is dropped"]
pub struct Frozen {
    pid: u32,
}

impl Frozen {
    /// SIGCONT.
    pub fn wake(self) {}
}

impl Drop for Frozen {
    fn drop(&mut self) {
        send(self.pid, Signal::SIGCONT);
    }
}

/// A running system. Dropped, it is ended.
pub struct System {
    /// The ready line.
    pub ready: Ready,
    /// The ready line as it was printed.
    pub ready_json: Value,
    /// From start to ready line.
    pub ready_after: Duration,
    /// Standard error of all its processes.
    pub log: Log,
    /// For requests of nobody in particular.
    pub http: Http,
    main: Mutex<Process>,
    restarted: Mutex<Vec<(String, Process)>>,
    children: Mutex<Guardian>,
}

impl System {
    /// Starts it and waits for the ready line.
    pub fn start(options: &Options) -> Self {
        Self::try_start(options).unwrap_or_else(|log| panic!("`up` ended before it was ready; its log:\n{log}"))
    }

    /// Starts it; the log if it ended before it was ready.
    ///
    /// # Errors
    /// What it wrote to standard error.
    pub fn try_start(options: &Options) -> Result<Self, String> {
        let log = Log::default();
        let begun = Instant::now();
        let mut main = Process::start(&mut options.command(), &log);
        let Some(line) = main.first_line(START_LIMIT) else {
            let _ = main.wait(Duration::from_secs(10));
            return Err(log.text());
        };
        let ready_after = begun.elapsed();
        let ready_json: Value =
            serde_json::from_str(&line).unwrap_or_else(|error| panic!("ready line: {error}\n{line}"));
        let ready: Ready =
            serde_json::from_value(ready_json.clone()).unwrap_or_else(|error| panic!("ready line: {error}\n{line}"));
        let pids: Vec<u32> = std::iter::once(main.pid()).chain(ready.processes.values().map(|part| part.pid)).collect();
        Ok(Self {
            ready,
            ready_json,
            ready_after,
            log,
            http: Http::new(),
            main: Mutex::new(main),
            restarted: Mutex::default(),
            children: Mutex::new(Guardian::of(&pids)),
        })
    }

    /// Process id of `propusk up` itself.
    pub fn main_pid(&self) -> u32 {
        self.main.lock().expect("main").pid()
    }

    /// Address of a path at the authority.
    pub fn authority(&self, path: &str) -> String {
        format!("{}{path}", self.ready.authority.trim_end_matches('/'))
    }

    /// Address of a path at the gateway.
    pub fn gateway(&self, path: &str) -> String {
        format!("{}{path}", self.ready.gateway.trim_end_matches('/'))
    }

    /// Address of a path at a service, past the gateway.
    pub fn service(&self, service: &str, path: &str) -> String {
        let base = self.ready.services.get(service).unwrap_or_else(|| panic!("no service {service}"));
        format!("{}{path}", base.trim_end_matches('/'))
    }

    /// Process id of a part now.
    pub fn pid(&self, part: &str) -> u32 {
        let restarted = self.restarted.lock().expect("restarted");
        let newest = restarted.iter().rev().find(|(name, _)| name == part).map(|(_, process)| process.pid());
        newest.unwrap_or_else(|| self.part(part).pid)
    }

    /// SIGKILL to one part of a split system; returns when it is gone.
    pub fn kill(&self, part: &str) {
        let pid = self.pid(part);
        assert_ne!(pid, self.main_pid(), "only a split system has parts to kill");
        send(pid, Signal::SIGKILL);
        let mut restarted = self.restarted.lock().expect("restarted");
        match restarted.iter_mut().rev().find(|(name, _)| name == part) {
            Some((_, process)) => drop(process.wait(Duration::from_secs(10)).expect("killed")),
            None => {
                crate::eventually("the killed part is gone", Duration::from_secs(10), || is_gone(pid).then_some(()))
            }
        }
    }

    /// Starts a part again by the command line of the ready line. Does not wait for it to be ready.
    pub fn restart(&self, part: &str) {
        self.restart_with(part, str::to_owned, &[]);
    }

    /// The same with another command line, of which each word passes through `edit`, and with these variables in its
    /// environment.
    pub fn restart_with(&self, part: &str, edit: impl Fn(&str) -> String, variables: &[(&str, &str)]) {
        let argv: Vec<String> = self.part(part).argv.iter().map(|word| edit(word)).collect();
        let mut command = without_settings(Command::new(&argv[0]));
        command.args(&argv[1..]).envs(variables.iter().copied());
        let process = Process::start(&mut command, &self.log);
        self.restarted.lock().expect("restarted").push((part.to_owned(), process));
    }

    /// SIGSTOP to one part of a split system, until the answer is dropped.
    pub fn freeze(&self, part: &str) -> Frozen {
        let pid = self.pid(part);
        assert_ne!(pid, self.main_pid(), "only a split system has parts to freeze");
        send(pid, Signal::SIGSTOP);
        crate::eventually("the part is stopped", Duration::from_secs(10), || is_stopped(pid).then_some(()));
        Frozen { pid }
    }

    /// Waits until a part says that it is ready.
    pub async fn wait_ready(&self, part: &str) {
        let url = match part {
            "authority" => self.authority("/-/ready"),
            "gateway" => self.gateway("/-/ready"),
            service => self.service(service, "/-/ready"),
        };
        crate::eventually_async(&format!("{part} is ready"), START_LIMIT, || async {
            let answer = self.http.get(&url).try_send().await.ok()?;
            (answer.status == 200).then_some(())
        })
        .await;
    }

    /// SIGTERM or SIGINT to `up`; its exit status, which must come within `limit`.
    pub fn stop(&self, signal: Signal, limit: Duration) -> std::process::ExitStatus {
        let mut main = self.main.lock().expect("main");
        main.signal(signal);
        let Some(status) = main.wait(limit) else {
            panic!("still running {limit:?} after {signal}; the log:\n{}", self.log.text())
        };
        status
    }

    /// What it wrote to standard output after the ready line.
    pub fn stdout_rest(&self) -> String {
        self.main.lock().expect("main").rest.text()
    }

    /// Kills `up` and all its parts at once, as a power cut would.
    pub fn power_cut(&self) {
        let mut main = self.main.lock().expect("main");
        main.signal(Signal::SIGKILL);
        for part in self.ready.processes.keys() {
            send(self.pid(part), Signal::SIGKILL);
        }
        main.wait(Duration::from_secs(10)).expect("killed");
        for part in self.ready.processes.values() {
            crate::eventually("all are gone", Duration::from_secs(10), || is_gone(part.pid).then_some(()));
        }
    }

    /// The sum of a counter over all its label sets that hold every one of `labels` (`route="/oauth/token"`).
    pub async fn metric(&self, base: &str, name: &str, labels: &[&str]) -> f64 {
        let text = self.http.get(&format!("{base}/-/metrics")).send().await.expect(200).text();
        let lines =
            text.lines().filter(|line| line.starts_with(name) && labels.iter().all(|label| line.contains(label)));
        lines.filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok()).sum()
    }

    fn part(&self, part: &str) -> &Part {
        self.ready.processes.get(part).unwrap_or_else(|| panic!("no part {part} in the ready line"))
    }
}

impl Drop for System {
    fn drop(&mut self) {
        self.restarted.lock().expect("restarted").clear();
        let mut main = self.main.lock().expect("main");
        if main.wait(Duration::ZERO).is_none() {
            main.signal(Signal::SIGTERM);
        }
        if main.wait(Duration::from_secs(6)).is_none() {
            main.signal(Signal::SIGKILL);
        }
        for part in self.ready.processes.values().filter(|part| part.pid != main.pid()) {
            if !is_gone(part.pid) {
                send(part.pid, Signal::SIGKILL);
            }
        }
        self.children.lock().expect("children").dismiss();
    }
}
