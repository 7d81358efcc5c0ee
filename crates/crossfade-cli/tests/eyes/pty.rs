//! A program on a terminal of its own, and what a person would see on it.

use std::io::Read as _;
use std::io::Write as _;
use std::num::NonZero;
use std::process::Child;
use std::process::Command;
use std::process::ExitStatus;
use std::sync::Arc;
use std::sync::Mutex;
use std::time::Duration;
use std::time::Instant;

use nix::sys::termios::LocalFlags;
use nix::sys::termios::tcgetattr;
use pty_process::Size;
use pty_process::blocking::Pts;
use pty_process::blocking::Pty;

/// Long enough for a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);

const ROWS: u16 = 24;
const COLUMNS: u16 = 80;

fn parser() -> vt100::Parser {
    let size = |number: u16| NonZero::new(number).expect("it is not zero");
    vt100::Parser::new(size(ROWS), size(COLUMNS), 0)
}

/// A terminal of 80 by 24, and the program on it.
pub struct OnTerminal {
    pub child: Child,
    pty: Arc<Pty>,
    /// Held open, so that its settings can be read once the program has ended.
    pts: Pts,
    seen: Arc<Mutex<vt100::Parser>>,
}

impl Drop for OnTerminal {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl OnTerminal {
    /// Starts it there, with the command's own variables and no others.
    pub fn start(command: &Command) -> OnTerminal {
        let (pty, pts) = pty_process::blocking::open().expect("a terminal can be made");
        pty.resize(Size::new(ROWS, COLUMNS)).expect("it has a size");
        let variables = command.get_envs().filter_map(|(name, value)| Some((name, value?)));
        let folder = command.get_current_dir().unwrap_or(std::path::Path::new("."));
        let run = pty_process::blocking::Command::new(command.get_program()).args(command.get_args());
        let mut run = run.env_clear().envs(variables).current_dir(folder);
        let child = run.spawn_borrowed(&pts).expect("it starts");
        let (pty, seen) = (Arc::new(pty), Arc::new(Mutex::new(parser())));
        let (from, to) = (pty.clone(), seen.clone());
        std::thread::spawn(move || {
            let mut bytes = [0; 4096];
            while let Ok(count @ 1..) = (&*from).read(&mut bytes) {
                to.lock().expect("nobody panics with it").process(&bytes[..count]);
            }
        });
        OnTerminal { child, pty, pts, seen }
    }

    pub fn press(&self, keys: &str) {
        (&*self.pty).write_all(keys.as_bytes()).expect("it is read");
    }

    /// What stands on the screen.
    pub fn text(&self) -> String {
        self.seen.lock().expect("nobody panics with it").screen().contents()
    }

    /// Waits until this holds of what stands on the screen.
    pub fn until(&self, what: &str, wanted: impl Fn(&str) -> bool) -> String {
        let begun = Instant::now();
        loop {
            let text = self.text();
            if wanted(&text) {
                return text;
            }
            assert!(begun.elapsed() < PATIENCE, "not so after {PATIENCE:?}: {what}\n{text}");
            std::thread::sleep(Duration::from_millis(30));
        }
    }

    /// Waits until it has ended.
    pub fn ended(&mut self) -> ExitStatus {
        let begun = Instant::now();
        loop {
            if let Some(status) = self.child.try_wait().expect("it can be waited for") {
                return status;
            }
            assert!(begun.elapsed() < PATIENCE, "it does not end\n{}", self.text());
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    /// Whether the terminal is a shell's: lines are read and echoed, the screen is the ordinary one, and the cursor is there.
    pub fn is_given_back(&self) -> bool {
        let flags = tcgetattr(&self.pts).expect("it is a terminal").local_flags;
        let cooked = flags.contains(LocalFlags::ICANON | LocalFlags::ECHO | LocalFlags::ISIG);
        let begun = Instant::now();
        loop {
            // What it wrote last may still be on its way.
            let ordinary = {
                let seen = self.seen.lock().expect("nobody panics with it");
                !seen.screen().alternate_screen() && !seen.screen().hide_cursor()
            };
            if ordinary || begun.elapsed() > Duration::from_secs(5) {
                return cooked && ordinary;
            }
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    /// Whether it is drawn on as a whole.
    pub fn is_taken_over(&self) -> bool {
        let flags = tcgetattr(&self.pts).expect("it is a terminal").local_flags;
        self.seen.lock().expect("nobody panics with it").screen().alternate_screen()
            && !flags.contains(LocalFlags::ICANON)
    }
}
