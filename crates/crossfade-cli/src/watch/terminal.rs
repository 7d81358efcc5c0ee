//! The terminal as a whole screen: taken over, drawn on, and given back however it ends.

use std::io;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering;
use std::thread::JoinHandle;
use std::time::Duration;

use ratatui::DefaultTerminal;
use ratatui::crossterm::event;
use ratatui::crossterm::event::Event;
use ratatui::crossterm::event::KeyCode;
use ratatui::crossterm::event::KeyEventKind;
use ratatui::crossterm::event::KeyModifiers;
use tokio::sync::mpsc;

use super::draw;
use super::model::Key;
use super::model::Model;

/// How long it takes at most until the reader of keys sees that it is over.
const LOOK: Duration = Duration::from_millis(100);

/// The terminal, until it is dropped. A panic gives it back, too: ratatui sees to that.
pub(super) struct Terminal {
    inner: DefaultTerminal,
    keys: mpsc::UnboundedReceiver<Key>,
    over: Arc<AtomicBool>,
    reader: Option<JoinHandle<()>>,
}

impl Terminal {
    /// Takes it over.
    pub fn open() -> io::Result<Terminal> {
        let inner = ratatui::try_init().inspect_err(|_| restore())?;
        let (sender, keys) = mpsc::unbounded_channel();
        let over = Arc::new(AtomicBool::new(false));
        let ended = over.clone();
        let reader = std::thread::spawn(move || {
            while !ended.load(Ordering::Relaxed) {
                match event::poll(LOOK).and_then(|is_there| if is_there { event::read().map(Some) } else { Ok(None) }) {
                    Ok(event) => {
                        if let Some(key) = event.and_then(key_of)
                            && sender.send(key).is_err()
                        {
                            return;
                        }
                    }
                    // The terminal is gone; so is whoever looked.
                    Err(_) => return,
                }
            }
        });
        Ok(Terminal { inner, keys, over, reader: Some(reader) })
    }

    /// Draws what is to be seen now.
    pub fn draw(&mut self, model: &Model) -> io::Result<()> {
        self.inner.draw(|frame| draw::draw(frame, model)).map(|_| ())
    }

    /// The next key; none once the terminal is gone.
    pub async fn key(&mut self) -> Option<Key> {
        self.keys.recv().await
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        self.over.store(true, Ordering::Relaxed);
        // What is typed from now on is the shell's.
        let _ = self.reader.take().map(JoinHandle::join);
        restore();
    }
}

/// Gives the terminal back. More than once does no harm.
pub fn restore() {
    // Nothing can be done where it is gone, and nobody would read it.
    let _ = ratatui::try_restore();
}

/// What a key means here; none for what means nothing. A changed size means that all is drawn again.
fn key_of(event: Event) -> Option<Key> {
    match event {
        Event::Resize(..) => Some(Key::Redraw),
        Event::Key(key) if key.kind == KeyEventKind::Release => None,
        Event::Key(key) => match key.code {
            KeyCode::Char('c' | 'd') if key.modifiers.contains(KeyModifiers::CONTROL) => Some(Key::Leave),
            KeyCode::Char('l') if key.modifiers.contains(KeyModifiers::CONTROL) => Some(Key::Redraw),
            KeyCode::Char('q') => Some(Key::Leave),
            KeyCode::Char('p') => Some(Key::Pause),
            KeyCode::Char('r') => Some(Key::Resume),
            KeyCode::Char('?' | 'h') => Some(Key::Help),
            KeyCode::Esc => Some(Key::Close),
            KeyCode::Tab | KeyCode::Right | KeyCode::Down => Some(Key::Next),
            KeyCode::BackTab | KeyCode::Left | KeyCode::Up => Some(Key::Previous),
            _ => None,
        },
        _ => None,
    }
}

#[cfg(test)]
#[path = "../../tests/eyes/pty.rs"]
mod pty;

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::pty::OnTerminal;
    use super::*;

    /// Run by the test below on a terminal of its own, in a process of its own.
    #[test]
    #[ignore = "it panics on purpose"]
    fn a_panic_while_it_is_drawn() {
        let mut terminal = Terminal::open().expect("this is a terminal");
        let mut model = Model::new("the database of the test".to_owned(), None, true, LOOK);
        model.help = true;
        terminal.draw(&model).expect("it can be drawn");
        // Until the one who looks has seen it.
        let key = tokio::runtime::Runtime::new().expect("a runtime").block_on(terminal.key());
        panic!("on purpose, after {key:?}");
    }

    #[test]
    fn a_panic_gives_the_terminal_back() {
        let mut command = Command::new(std::env::current_exe().expect("this program has a path"));
        command.args(["--ignored", "--exact", "watch::terminal::tests::a_panic_while_it_is_drawn", "--nocapture"]);
        command.env("TERM", "xterm-256color");
        let mut screen = OnTerminal::start(&command);
        screen.until("it is drawn", |text| text.contains("the database of the test"));
        assert!(screen.is_taken_over());
        screen.press("p");
        assert!(!screen.ended().success());
        assert!(screen.is_given_back());
        // What it says of the panic stands where a person reads it.
        screen.until("the panic is said", |text| text.contains("on purpose, after Some(Pause)"));
    }
}
