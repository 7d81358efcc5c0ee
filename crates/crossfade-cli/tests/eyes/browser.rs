//! The page in a real browser: it shows a running fill, and what changes without being loaded again.

use std::io::Write as _;
use std::path::PathBuf;

use super::chromium;
use super::chromium::Browser;
use super::scene::Scene;
use super::scene::said;

/// A number that the page shows as its progress; none where there is none.
const PERCENT: &str = r#"(() => { const bar = document.querySelector('[data-migration="001"] progress'); return bar && Number(bar.value) })()"#;

/// The browser. Where there is none the test is skipped, which is said; in CI it fails.
fn browser() -> Option<PathBuf> {
    let found = chromium::find();
    if found.is_none() {
        assert_ne!(std::env::var("CI").as_deref(), Ok("true"), "there is no chromium: `scripts/setup browser` gets it");
        // Past the harness, which keeps what a test that succeeds has printed to itself.
        let _ = writeln!(std::io::stderr(), "skipped: no chromium");
    }
    found
}

/// What a person reads of a part of the page.
fn shows(selector: &str, text: &str) -> String {
    let (selector, text) = (serde_json::json!(selector), serde_json::json!(text));
    format!("(document.querySelector({selector})?.innerText ?? '').includes({text})")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_page_shows_a_running_fill_and_changes_by_itself() {
    let Some(program) = browser() else { return };
    let scene = Scene::new().await;
    // A name that is markup must be shown as it is.
    scene.client.batch_execute("SET application_name = '<img src=x onerror=document.title=1>'").await.unwrap();
    let mut served = scene.serve(false);
    let mut page = Browser::open(&program, served.report["url"].as_str().unwrap());
    page.until("document.body?.dataset.reached === 'true'");
    page.until(&shows("main", "Nothing is under way."));
    page.until(&shows("#migrations", "pending"));
    // This stays as long as the page is not loaded again. And whatever the policy forbids is counted.
    page.ask("window.before = document.body; window.forbidden = []; document.addEventListener('securitypolicyviolation', (event) => forbidden.push(event.violatedDirective)); 1");

    let migrate = scene.migrating();
    page.until(&shows("[data-migration='001'] .pause", "the query says 1"));
    page.until(&shows("#runner", "run by process"));
    let locker = scene.locked_in_the_middle().await;
    scene.let_it_go().await;
    page.until(&format!("{PERCENT} > 0.1 && {PERCENT} < 1"));
    page.until(&shows("[data-migration='001'] .figures", " of about 20,000 rows"));
    page.until(&shows("[data-migration='001'] li[aria-current=step]", "fill email_address"));
    page.until(&shows("#waits table", "idle in transaction"));
    page.until(&shows("#waits table", "FOR UPDATE"));
    page.until(&shows("#events table", "ann on "));
    page.until(&shows("#server table", "commit"));
    assert_eq!(page.ask("document.title"), "Crossfade");

    // Somebody waits whose name is markup.
    let waiting = tokio::spawn(async move {
        scene.client.batch_execute("UPDATE users SET id = id WHERE id = 15000").await.unwrap();
        scene
    });
    page.until(&shows("#waits table", "<img src=x"));
    assert_eq!(page.ask("document.querySelectorAll('img').length"), 0);

    let half = page.ask(PERCENT);
    drop(locker);
    let scene = waiting.await.unwrap();
    let ended = migrate.wait_with_output().unwrap();
    assert!(ended.status.success(), "{}", said(&ended));
    page.until(&shows("[data-migration='001'] .state", "ready"));
    page.until(&shows("[data-migration='001'] .old-form", "old form"));
    assert!(half.as_f64().is_some_and(|half| half < 1.0), "{half}");
    page.until(&shows("#waits", "Nobody waits."));

    page.ask("document.querySelector('#runbook-box').open = true; 1");
    page.until(&shows("#runbook h2", "Migration"));

    // The database goes away: the page says so, keeps what it saw, and comes back by itself.
    scene.take_away().await;
    page.until(&shows("#reach", "The database is out of reach"));
    assert_eq!(page.ask(&shows("[data-migration='001'] .state", "ready")), true);
    scene.give_back().await;
    page.until("document.body.dataset.reached === 'true' && document.querySelector('#reach').innerText === ''");
    // And so when nobody answers at all.
    assert_eq!(served.ended_by(nix::sys::signal::Signal::SIGTERM), Some(0));
    page.until(&shows("#reach", "crossfade serve does not answer"));
    assert_eq!(page.ask("window.before === document.body"), true, "it was loaded again");
    assert_eq!(page.ask("forbidden.join()"), "");
}

/// What a person with a screen reader or a keyboard needs, as the browser itself understands the page.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_page_can_be_read_without_seeing_it() {
    let Some(program) = browser() else { return };
    let scene = Scene::new().await;
    let served = scene.serve(false);
    let migrate = scene.migrating();
    let mut page = Browser::open(&program, served.report["url"].as_str().unwrap());
    page.until(&shows("[data-migration='001'] .pause", "the query says 1"));
    let unnamed = "[...document.querySelectorAll('progress, section, [role=region], [role=img]')].filter((one) => !one.getAttribute('aria-label') && !one.getAttribute('aria-labelledby')).length";
    assert_eq!(page.ask(unnamed), 0);
    assert_eq!(page.ask("document.documentElement.lang"), "en");
    assert_eq!(page.ask("document.querySelector('#reach').getAttribute('aria-live')"), "polite");
    assert_eq!(page.ask("document.querySelectorAll('table:not(:has(caption)), th:not([scope])').length"), 0);
    // In both themes text stands out from its ground as WCAG AA wants it: 4.5 to 1.
    let contrast = "(() => {
        const rgb = (text) => text.match(/[0-9.]+/g).slice(0, 3).map(Number);
        const light = (color) => color.map((part) => part / 255).map((part) => part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4).reduce((sum, part, at) => sum + part * [0.2126, 0.7152, 0.0722][at], 0);
        const ground = (one) => { for (; one; one = one.parentElement) { const color = getComputedStyle(one).backgroundColor; if (!color.endsWith(', 0)')) return rgb(color); } return [255, 255, 255]; };
        const ratio = (one) => { const [high, low] = [light(rgb(getComputedStyle(one).color)), light(ground(one))].sort((a, b) => b - a); return (high + 0.05) / (low + 0.05); };
        return Math.min(...[...document.querySelectorAll('p, td, th, h1, h2, h3, span, li, summary')].filter((one) => one.innerText && one.offsetParent).map(ratio));
    })()";
    for theme in ["light", "dark"] {
        page.prefer(theme);
        let least = page.ask(contrast).as_f64().unwrap();
        assert!(least >= 4.5, "{theme}: {least}");
    }
    scene.let_it_go().await;
    assert!(migrate.wait_with_output().unwrap().status.success());
}
