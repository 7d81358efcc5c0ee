//! `watch` on a real terminal: it shows a running fill, pauses it by a key, and gives the terminal back however it ends.

use std::io::BufRead as _;
use std::io::BufReader;

use nix::sys::signal::Signal;
use nix::sys::signal::kill;
use nix::unistd::Pid;

use super::pty::OnTerminal;
use super::scene::Scene;
use super::scene::said;
use super::scene::until;

fn percent(text: &str) -> Option<u32> {
    let before =
        text.split(" %").find(|part| part.ends_with(|sign: char| sign.is_ascii_digit()) && part.contains('┌'))?;
    let digits: String = before.chars().rev().take_while(char::is_ascii_digit).collect();
    digits.chars().rev().collect::<String>().parse().ok()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_key_pauses_the_fill_that_is_shown() {
    let scene = Scene::new().await;
    let mut screen = OnTerminal::start(&scene.command(&["watch", "--interval", "100ms"]));
    screen.until("nothing is there yet", |text| text.contains("nothing is under way"));
    assert!(screen.is_taken_over());
    screen.press("p");
    screen.until("it says so", |text| text.contains("nothing is under way that could be paused"));
    let migrate = scene.migrating();
    screen.until("the query holds it up", |text| text.contains("waits since") && text.contains("the query says 1"));
    let locker = scene.locked_in_the_middle().await;
    scene.let_it_go().await;
    let shown = screen.until("the fill has come to the locked row", |text| {
        percent(text).is_some_and(|percent| percent > 10)
            && text.contains("behind pid")
            && text.contains("idle in transaction")
    });
    assert!(percent(&shown).is_some_and(|percent| percent < 100), "{shown}");
    assert!(shown.contains("001 rename") && shown.contains(" of about 20,000 rows"), "{shown}");
    assert!(shown.contains("ShareLock on users") && shown.contains("commit "), "{shown}");

    screen.press("?");
    screen.until("the help is open", |text| text.contains("Keys"));
    screen.press("\u{1b}");
    screen.until("the help is closed", |text| !text.contains("Keys"));

    screen.press("p");
    screen.until("it was asked", |text| text.contains("asked to pause: 001 rename"));
    drop(locker);
    let paused = |migration: &serde_json::Value| migration["pause"]["by"] == "ann" && migration["state"] == "migrating";
    let migration = until("it is paused", || scene.migration(), paused);
    assert!(migration["pause"]["reason"].as_str().unwrap().ends_with("by crossfade watch"), "{migration:#}");
    screen.until("the pause is shown", |text| text.contains("paused by ann on "));

    screen.press("r");
    screen.until("it was asked", |text| text.contains("asked to go on: 001 rename"));
    let ended = migrate.wait_with_output().unwrap();
    assert!(ended.status.success(), "{}", said(&ended));
    screen.until("it is ready", |text| text.contains(" ready ┐"));
    screen.press("q");
    assert_eq!(screen.ended().code(), Some(0));
    assert!(screen.is_given_back(), "{}", screen.text());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_terminal_is_given_back_however_it_ends() {
    let scene = Scene::new().await;
    let start = || {
        let screen = OnTerminal::start(&scene.command(&["watch"]));
        screen.until("it is drawn", |text| text.contains("nothing is under way"));
        assert!(screen.is_taken_over());
        screen
    };
    // Ctrl-C is a key here, and a signal where somebody sends it.
    let mut screen = start();
    screen.press("\u{3}");
    assert_eq!(screen.ended().code(), Some(0));
    assert!(screen.is_given_back(), "{}", screen.text());
    for signal in [Signal::SIGTERM, Signal::SIGINT] {
        let mut screen = start();
        kill(Pid::from_raw(screen.child.id().try_into().unwrap()), signal).unwrap();
        assert_eq!(screen.ended().code(), Some(0), "{signal}");
        assert!(screen.is_given_back(), "{signal}: {}", screen.text());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_a_terminal_it_says_so_or_prints_lines() {
    let scene = Scene::new().await;
    let refused = scene.call(&["watch"]);
    assert_eq!(refused.status.code(), Some(2), "{}", said(&refused));
    assert!(said(&refused).contains("watch draws on a terminal, and this is none"), "{}", said(&refused));
    assert!(said(&refused).contains("--plain"), "{}", said(&refused));

    let document = scene.call(&["watch", "--json"]);
    let document: serde_json::Value = serde_json::from_slice(&document.stdout).unwrap();
    assert_eq!((&document["format"], &document["flights"]), (&1.into(), &serde_json::json!([])));

    let mut plain = scene.command(&["watch", "1", "--plain", "--interval", "100ms"]).spawn().unwrap();
    let mut lines = BufReader::new(plain.stdout.take().unwrap()).lines().map(Result::unwrap);
    let mut until_said = |words: &str| {
        let said = lines.find(|line| line.contains(words)).unwrap_or_else(|| panic!("it never said {words}"));
        assert!(!said.contains('\u{1b}'), "{said:?}");
        said
    };
    until_said("001 rename is pending");
    let migrate = scene.migrating();
    let said_so = until_said("waits: the query says 1");
    assert!(said_so.starts_with("001 rename is migrating; step 2 of 9"), "{said_so}");
    scene.let_it_go().await;
    assert!(migrate.wait_with_output().unwrap().status.success());
    until_said("001 rename is ready");
    kill(Pid::from_raw(plain.id().try_into().unwrap()), Signal::SIGTERM).unwrap();
    assert_eq!(plain.wait().unwrap().code(), Some(0));
}
