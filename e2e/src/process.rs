//! Child processes: their log, their end, and a guardian that ends them should the test die first.

use std::collections::VecDeque;
use std::io::{BufRead, BufReader, Read, Write};
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Condvar, LazyLock, Mutex};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

/// The product: `PROPUSK_BIN`, or the dev build, which is brought up to date first.
pub fn propusk() -> PathBuf {
    static BINARY: LazyLock<PathBuf> = LazyLock::new(|| {
        if let Some(path) = std::env::var_os("PROPUSK_BIN") {
            return path.into();
        }
        let root = root();
        let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
        let built = Command::new(cargo).current_dir(&root).args(["build", "--quiet", "-p", "propusk"]).status();
        assert!(built.expect("cargo starts").success(), "cargo build -p propusk failed");
        target().join("debug").join("propusk")
    });
    BINARY.clone()
}

/// The workspace's folder.
pub fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("..").canonicalize().expect("the workspace")
}

/// The target directory, where tests may keep what is costly to make.
pub fn target() -> PathBuf {
    std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root().join("target"), PathBuf::from)
}

/// What processes wrote to standard error, line by line. Clones share the lines.
#[derive(Clone, Default)]
pub struct Log {
    inner: Arc<(Mutex<VecDeque<String>>, Condvar)>,
}

/// All logs of a run together, in the file that `PROPUSK_E2E_LOG` names: to look up the id of a request that failed.
static KEPT_LOG: LazyLock<Option<std::fs::File>> = LazyLock::new(|| {
    let path = std::env::var_os("PROPUSK_E2E_LOG")?;
    let file = std::fs::OpenOptions::new().create(true).append(true).open(&path);
    Some(file.unwrap_or_else(|error| panic!("PROPUSK_E2E_LOG: {error}")))
});

/// Enough for every test; a flood does not grow the test's own memory without bound.
const KEPT_LINES: usize = 50_000;

impl Log {
    /// Reads `source` to its end on a thread of its own.
    pub fn follow(&self, source: impl Read + Send + 'static) -> std::thread::JoinHandle<()> {
        let log = self.clone();
        std::thread::spawn(move || {
            for line in BufReader::new(source).split(b'\n') {
                let Ok(line) = line else { return };
                log.push(String::from_utf8_lossy(&line).into_owned());
            }
        })
    }

    fn push(&self, line: String) {
        if let Some(file) = KEPT_LOG.as_ref() {
            drop(writeln!(&*file, "{line}"));
        }
        let (lines, changed) = &*self.inner;
        let mut lines = lines.lock().expect("log");
        if lines.len() == KEPT_LINES {
            lines.pop_front();
        }
        lines.push_back(line);
        changed.notify_all();
    }

    /// The first line that holds every one of `parts`, once it is there.
    #[track_caller]
    pub fn line_with(&self, parts: &[&str]) -> String {
        let (lines, changed) = &*self.inner;
        let end = Instant::now() + Duration::from_secs(10);
        let mut lines = lines.lock().expect("log");
        loop {
            if let Some(line) = lines.iter().find(|line| parts.iter().all(|part| line.contains(part))) {
                return line.clone();
            }
            let left = end.saturating_duration_since(Instant::now());
            if left.is_zero() {
                let first = parts.first().copied().unwrap_or_default();
                let near: Vec<&String> = lines.iter().filter(|line| line.contains(first)).collect();
                panic!("no line of the log holds all of {parts:?}; those with the first: {near:#?}");
            }
            lines = changed.wait_timeout(lines, left).expect("log").0;
        }
    }

    /// How many lines hold every one of `parts` by now.
    pub fn count(&self, parts: &[&str]) -> usize {
        let lines = self.inner.0.lock().expect("log");
        lines.iter().filter(|line| parts.iter().all(|part| line.contains(part))).count()
    }

    /// All of it, as one text.
    pub fn text(&self) -> String {
        let lines = self.inner.0.lock().expect("log");
        lines.iter().map(String::as_str).collect::<Vec<_>>().join("\n")
    }
}

/// One child process. Dropped, it is killed.
pub struct Process {
    child: Child,
    /// What it writes to standard error.
    pub log: Log,
    /// What it writes to standard output after the first line.
    pub rest: Log,
    stdout: Option<BufReader<std::process::ChildStdout>>,
    logging: Option<std::thread::JoinHandle<()>>,
    guardian: Guardian,
}

impl Process {
    /// Starts a command with its output piped and no input.
    pub fn start(command: &mut Command, log: &Log) -> Self {
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap_or_else(|error| panic!("cannot start {command:?}: {error}"));
        let logging = Some(log.follow(child.stderr.take().expect("piped")));
        let stdout = child.stdout.take().map(BufReader::new);
        let guardian = Guardian::of(&[child.id()]);
        Self { child, log: log.clone(), rest: Log::default(), stdout, logging, guardian }
    }

    /// Its process id.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// The first line of standard output; whatever follows goes to [`Process::rest`]. `None` if it ended without one.
    pub fn first_line(&mut self, limit: Duration) -> Option<String> {
        let mut stdout = self.stdout.take().expect("standard output is read once");
        let (send, receive) = std::sync::mpsc::channel();
        let rest = self.rest.clone();
        std::thread::spawn(move || {
            let mut line = String::new();
            let read = stdout.read_line(&mut line);
            drop(send.send(read.is_ok_and(|length| length > 0).then_some(line)));
            rest.follow(stdout);
        });
        match receive.recv_timeout(limit) {
            Ok(line) => line,
            Err(_) => panic!("no line on standard output within {limit:?}; the log:\n{}", self.log.text()),
        }
    }

    /// Sends a signal to it alone.
    pub fn signal(&self, signal: Signal) {
        send(self.pid(), signal);
    }

    /// Its exit status, if it ends within `limit`.
    pub fn wait(&mut self, limit: Duration) -> Option<ExitStatus> {
        crate::within(limit, || self.child.try_wait().expect("wait"))
    }

    /// Everything it wrote to standard output, and its status; it must end within `limit`. Its log is then whole.
    pub fn finish(mut self, limit: Duration) -> (ExitStatus, String) {
        let mut stdout = self.stdout.take().expect("standard output is read once");
        let reader = std::thread::spawn(move || {
            let mut text = String::new();
            drop(stdout.read_to_string(&mut text));
            text
        });
        let Some(status) = self.wait(limit) else {
            panic!("did not end within {limit:?}; the log:\n{}", self.log.text());
        };
        self.logging.take().expect("read once").join().expect("reader");
        (status, reader.join().expect("reader"))
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if self.child.try_wait().is_ok_and(|status| status.is_none()) {
            self.signal(Signal::SIGTERM);
            if self.wait(Duration::from_secs(6)).is_none() {
                drop(self.child.kill());
                drop(self.child.wait());
            }
        }
        self.guardian.dismiss();
    }
}

/// Sends a signal to one process; that it is gone already is no error.
pub fn send(pid: u32, signal: Signal) {
    let _ = kill(Pid::from_raw(i32::try_from(pid).expect("a pid")), signal);
}

/// A shell that waits for the test process to end, however it ends, and then ends what the test had started. Values in
/// statics are never dropped, so this is also how a system shared by several tests ends.
pub struct Guardian {
    shell: Child,
}

impl Guardian {
    /// Watches over these processes; the first decides how long the others are waited for.
    pub fn of(pids: &[u32]) -> Self {
        const SCRIPT: &str = r#"
            read -r word && exit 0
            kill -TERM "$@" 2>/dev/null
            kill -CONT "$@" 2>/dev/null
            turns=0
            while kill -0 "$1" 2>/dev/null && [ "$turns" -lt 60 ]; do sleep 0.1; turns=$((turns + 1)); done
            kill -KILL "$@" 2>/dev/null"#;
        let shell = Command::new("sh")
            .args(["-c", SCRIPT, "guardian"])
            .args(pids.iter().map(u32::to_string))
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("sh");
        Self { shell }
    }

    /// There is nothing left to end.
    pub fn dismiss(&mut self) {
        if let Some(mut pipe) = self.shell.stdin.take() {
            drop(pipe.write_all(b"dismissed\n"));
        }
        drop(self.shell.wait());
    }
}

/// Whether a process has ended; one that its parent has not yet asked about counts as ended. Its sockets are closed
/// only when its last thread is gone.
pub fn is_gone(pid: u32) -> bool {
    let threads = std::fs::read_dir(format!("/proc/{pid}/task")).map_or(0, Iterator::count);
    threads <= 1 && matches!(state(pid), None | Some('Z' | 'X'))
}

/// Whether a process is stopped by a signal.
pub fn is_stopped(pid: u32) -> bool {
    state(pid) == Some('T')
}

/// The state letter of `/proc/PID/stat`.
fn state(pid: u32) -> Option<char> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    stat.rsplit(") ").next()?.chars().next()
}

/// A number of `/proc/PID/status`, in KiB: `VmRSS`, `VmHWM`.
pub fn memory_kib(pid: u32, field: &str) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).expect("/proc");
    let line = status.lines().find(|line| line.starts_with(field)).expect("the field");
    line.split_whitespace().nth(1).and_then(|number| number.parse().ok()).expect("a number")
}
