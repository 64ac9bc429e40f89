//! Tables, questions, completion: what people see.

use std::fs::File;
use std::io::{Read, Write};
use std::os::unix::process::ExitStatusExt as _;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use e2e::people::PASSWORD;
use e2e::{run, unique};
use nix::pty::{Winsize, openpty};
use nix::sys::signal::Signal;
use nix::sys::termios::{LocalFlags, tcgetattr};

use super::{Operator, problem, texts};
use crate::shared::PLAIN;

const LIMIT: Duration = Duration::from_secs(20);

/// A command at a terminal of its own.
struct Terminal {
    keyboard: File,
    screen: Arc<Mutex<String>>,
    child: Child,
}

impl Terminal {
    fn start(mut command: Command, columns: u16) -> Self {
        let size = Winsize { ws_row: 24, ws_col: columns, ws_xpixel: 0, ws_ypixel: 0 };
        let pair = openpty(&size, None).unwrap();
        let line = || Stdio::from(pair.slave.try_clone().unwrap());
        command.env("TERM", "xterm-256color").stdin(line()).stdout(line()).stderr(line());
        let child = command.spawn().unwrap();
        // Ours would keep the terminal open after the command has ended.
        drop((command, pair.slave));
        let keyboard = File::from(pair.master);
        let mut source = keyboard.try_clone().unwrap();
        let screen = Arc::<Mutex<String>>::default();
        let shown = screen.clone();
        std::thread::spawn(move || {
            let mut buffer = [0; 4_096];
            while let Ok(length @ 1..) = source.read(&mut buffer) {
                shown.lock().unwrap().push_str(&String::from_utf8_lossy(&buffer[..length]));
            }
        });
        Self { keyboard, screen, child }
    }

    fn screen(&self) -> String {
        self.screen.lock().unwrap().clone()
    }

    /// Types a line once this is asked.
    fn answer(&mut self, question: &str, line: &str) {
        e2e::eventually(question, LIMIT, || self.screen().contains(question).then_some(()));
        self.keyboard.write_all(format!("{line}\n").as_bytes()).unwrap();
    }

    /// Its exit status and all that it showed.
    fn finish(self) -> (Option<i32>, String) {
        let (status, screen) = self.end();
        (status.code(), screen)
    }

    fn end(mut self) -> (ExitStatus, String) {
        let status = e2e::eventually("the command ends", LIMIT, || self.child.try_wait().unwrap());
        // Read to the end: the reader holds the other clone until there is nothing more.
        e2e::eventually("the screen is read", LIMIT, || (Arc::strong_count(&self.screen) == 1).then_some(()));
        (status, self.screen())
    }
}

#[test]
fn what_cannot_be_undone_is_asked_for_at_a_terminal() {
    run(async {
        let (system, operator) = (&*PLAIN, Operator::admin(&PLAIN).await);
        let person = system.register("asked").await;
        let delete = ["user", "delete", &person.username];
        for no in ["n", "", "no", "delete"] {
            let mut terminal = Terminal::start(operator.command(&delete), 100);
            terminal.answer("[y/N]", no);
            let (status, screen) = terminal.finish();
            assert_eq!(status, Some(1), "{screen}");
            assert!(screen.contains(&person.username) && screen.contains("nothing was done"), "{screen}");
        }
        operator.done(&["user", "show", &person.id]);
        let mut terminal = Terminal::start(operator.command(&delete), 100);
        terminal.answer("[y/N]", "y");
        let (status, screen) = terminal.finish();
        assert_eq!(status, Some(0), "{screen}");
        problem(&operator.json(&["user", "show", &person.id]), 1);
        // Who is sure is not asked; what can be undone is not asked for.
        let person = system.register("unasked").await;
        for command in
            [["user", "disable", &person.username].as_slice(), &["user", "delete", &person.username, "--yes"]]
        {
            let (status, screen) = Terminal::start(operator.command(command), 100).finish();
            assert_eq!(status, Some(0), "{screen}");
            assert!(!screen.contains("[y/N]"), "{screen}");
        }
    });
}

#[test]
fn a_password_is_typed_twice_and_not_shown() {
    run(async {
        let (system, operator) = (&*PLAIN, Operator::admin(&PLAIN).await);
        let name = unique("typed");
        let create = ["user", "create", &name];
        let mut terminal = Terminal::start(operator.command(&create), 100);
        terminal.answer(&format!("Password for {name}: "), PASSWORD);
        terminal.answer("The same again: ", "another password altogether");
        let (status, screen) = terminal.finish();
        assert_eq!(status, Some(1), "{screen}");
        let mut terminal = Terminal::start(operator.command(&create), 100);
        terminal.answer(&format!("Password for {name}: "), PASSWORD);
        terminal.answer("The same again: ", PASSWORD);
        let (status, screen) = terminal.finish();
        assert_eq!(status, Some(0), "{screen}");
        assert!(!screen.contains(PASSWORD), "{screen}");
        system.try_login(&name, PASSWORD, None).await.expect(200);
        let stranger = Operator::at(&system.ready.authority);
        let mut terminal = Terminal::start(stranger.command(&["login", "--username", &name]), 100);
        terminal.answer(&format!("Password of {name}"), PASSWORD);
        let (status, screen) = terminal.finish();
        assert_eq!(status, Some(0), "{screen}");
        assert!(!screen.contains(PASSWORD), "{screen}");
    });
}

#[test]
fn a_terminal_shows_again_what_is_typed_after_an_interrupt() {
    let operator = Operator::at(&PLAIN.ready.authority);
    let mut terminal = Terminal::start(operator.command(&["login", "--username", "somebody"]), 100);
    let line = terminal.keyboard.try_clone().unwrap();
    let is_shown = || tcgetattr(&line).unwrap().local_flags.contains(LocalFlags::ECHO | LocalFlags::ISIG);
    assert!(is_shown());
    e2e::eventually("the question", LIMIT, || terminal.screen().contains("Password of somebody").then_some(()));
    e2e::eventually("silence", LIMIT, || (!is_shown()).then_some(()));
    // Ctrl-C.
    terminal.keyboard.write_all(b"half a password\x03").unwrap();
    let (status, screen) = terminal.end();
    // A signal that whoever started the tests lets nobody have ends no command either: then it says so.
    let ended = if is_ignored(Signal::SIGINT) { (None, Some(1)) } else { (Some(Signal::SIGINT as i32), None) };
    assert_eq!((status.signal(), status.code()), ended, "{screen}");
    assert_eq!(screen.contains("propusk: interrupted"), ended.1.is_some(), "{screen}");
    assert!(is_shown() && !screen.contains("half a"), "{screen}");
}

/// By this process, and so by those that it starts: a shell does that to what it runs in the background.
fn is_ignored(signal: Signal) -> bool {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:")).unwrap();
    u64::from_str_radix(mask.trim(), 16).unwrap() & (1 << (signal as i32 - 1)) != 0
}

#[test]
fn tables_fit_the_terminal_and_are_plain_elsewhere() {
    run(async {
        let operator = Operator::admin(&PLAIN).await;
        let list = ["role", "list", "cars"];
        let role = unique("wide");
        let many: Vec<String> = (0..12).map(|n| format!("cars:action-{n}")).collect();
        let full = format!("cars/{role}");
        let define = ["role", "define", &full].into_iter().chain(many.iter().flat_map(|one| ["--permit", one]));
        operator.done(&define.collect::<Vec<_>>());

        let (status, screen) = Terminal::start(operator.command(&list), 90).finish();
        assert_eq!(status, Some(0), "{screen}");
        assert!(screen.contains("\u{1b}[1m"), "the heading stands out: {screen:?}");
        for line in screen.lines().map(plain) {
            assert!(line.chars().count() <= 90, "{line}");
        }
        assert!(many.iter().all(|one| screen.contains(one.as_str())), "nothing is left out: {screen}");

        let mut colourless = operator.command(&list);
        colourless.env("NO_COLOR", "1");
        let (_, screen) = Terminal::start(colourless, 90).finish();
        assert!(screen.contains(&role) && !screen.contains('\u{1b}'), "{screen:?}");
        // Through a pipe: one line for each role, no colours, the columns below each other.
        let piped = operator.told(&list);
        assert!(!piped.contains('\u{1b}'), "{piped:?}");
        let (heading, row) =
            (piped.lines().next().unwrap(), piped.lines().find(|line| line.starts_with(&role)).unwrap());
        assert_eq!(heading.find("PERMISSIONS"), row.find("cars:action-0"), "{piped}");
        operator.done(&["role", "delete", &full]);
    });
}

/// Without the escape sequences of colours.
fn plain(line: &str) -> String {
    let mut parts = line.trim_end_matches('\r').split('\u{1b}');
    let first = parts.next().unwrap_or_default().to_owned();
    parts.fold(first, |all, part| all + part.split_once('m').map_or("", |(_, rest)| rest))
}

#[test]
fn nothing_to_list_is_said_and_is_no_failure() {
    run(async {
        let (system, operator) = (&*PLAIN, Operator::admin(&PLAIN).await);
        let person = system.register("empty").await;
        let service = unique("empty");
        operator.done(&["service", "create", &service]);
        for (command, said) in [
            (["session", "list", &person.id].as_slice(), "has no sessions"),
            (&["role", "list", &service], "propusk role define"),
            (&["user", "list", "--username", "nobody-of-this-name"], "there is no user nobody-of-this-name"),
        ] {
            let output = operator.command(command).output().unwrap();
            let (out, err) = texts(&output);
            assert_eq!((output.status.code(), out.as_str()), (Some(0), ""), "{err}");
            assert!(err.contains(said), "{err}");
            assert_eq!(operator.done(command)["items"], serde_json::json!([]));
        }
        operator.done(&["service", "delete", &service]);
    });
}

#[test]
fn every_shell_gets_a_completion_and_bash_completes_with_it() {
    run(async {
        let operator = Operator::at("http://127.0.0.1:1");
        for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
            let script = operator.told(&["completions", shell]);
            assert!(script.contains("propusk") && script.contains("exchange-rule"), "{shell}: {script}");
        }
        problem(&operator.json(&["completions", "cmd"]), 2);
        let script = operator.path("completion.bash");
        std::fs::write(&script, operator.told(&["completions", "bash"])).unwrap();
        let bash = |arguments: &[&str]| {
            let output = Command::new("bash").args(["--norc", "--noprofile"]).args(arguments).output().unwrap();
            assert!(output.status.success(), "{:?}", texts(&output));
            texts(&output).0
        };
        let path = script.display().to_string();
        bash(&["-n", &path]);
        let typed = "source \"$0\"; COMP_WORDS=(propusk user d); COMP_CWORD=2; \
                     _propusk propusk d user; printf '%s ' \"${COMPREPLY[@]}\"";
        assert_eq!(bash(&["-c", typed, &path]).trim(), "disable delete");
    });
}
