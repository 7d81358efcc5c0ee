//! Somebody holds a lock that we need: nobody waits behind us for long, the holder is named, and when it never goes nothing was changed.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering;
use std::time::Duration;
use std::time::Instant;

use crossfade::ErrorKind;
use crossfade::observer::Notice;
use crossfade_core::journal::State;

use crate::project::Command;
use crate::project::Project;
use crate::project::Watch;
use crate::project::said;
use crate::scene::RENAME;
use crate::scene::Running;
use crate::scene::Start;
use crate::scene::TABLE;
use crate::scene::database;
use crate::scene::in_transaction;
use crate::scene::scene;
use crate::server::run;
use crate::snapshot::Snapshot;

/// The longest that a reader may wait behind us: the lock timeout of 100 ms, and what a busy machine adds. Behind a lock
/// that is waited for without one it would be the more than 2 s for which the blocker stays.
const LONGEST: Duration = Duration::from_millis(1500);

/// D6: a reader of 12 s made all others wait for 9.8 s.
#[test]
fn d06_no_reader_waits_long_behind_us_and_the_blocker_is_named() {
    run(async {
        let (database, project) = scene(RENAME).await;
        let blocker = in_transaction(&database, "SELECT count(*) FROM t").await;
        let stop = Arc::new(AtomicBool::new(false));
        let reader = tokio::spawn(read(database.url(), stop.clone()));
        tokio::time::sleep(Duration::from_millis(400)).await;
        let mut migrate = Running::start(&project, Start::Migrate);
        tokio::time::sleep(Duration::from_millis(2500)).await;
        assert!(!migrate.is_over(), "it does not give up as long as its budget lasts");
        blocker.batch_execute("COMMIT").await.expect("it commits");
        let (result, watch) = migrate.end().await;
        stop.store(true, Ordering::SeqCst);
        let (reads, longest) = reader.await.expect("the reader does not panic");
        assert_eq!(result.map_err(|error| said(&error)), Ok(Some(State::Ready)));
        assert!(reads > 20 && longest < LONGEST, "{reads} reads, the longest took {longest:?}");
        let named = watch.notices.iter().any(|notice| match notice {
            Notice::Blocked { blockers, .. } => blockers.iter().any(|blocker| {
                ["the blocker", "idle in transaction", "pid ", "since "].iter().all(|part| blocker.contains(part))
            }),
            _ => false,
        });
        assert!(named, "{:?}", watch.notices);
    });
}

#[test]
fn with_its_budget_spent_the_error_names_the_blocker_and_nothing_was_changed() {
    run(async {
        let database = database(TABLE).await;
        let budget = |config: &mut crossfade::Config| config.locks.budget = Duration::from_millis(700);
        let project = Project::with(&database, &[("001_case.sql", RENAME)], budget);
        let was = Snapshot::seen(&database).await;
        let blocker = in_transaction(&database, "SELECT count(*) FROM t").await;
        tokio::time::sleep(Duration::from_millis(350)).await;
        let error = Command::Migrate.watched(&project.migrator, &mut Watch::default()).await.expect_err("blocked");
        assert_eq!(error.kind(), ErrorKind::Failed);
        let text = said(&error);
        assert!(text.contains("the blocker") && text.contains("idle in transaction"), "{text}");
        assert_eq!(was.schema_difference(&Snapshot::seen(&database).await), None);
        blocker.batch_execute("COMMIT").await.expect("it commits");
        assert_eq!(Command::Migrate.on(&project.migrator).await, Ok(Some(State::Ready)));
    });
}

async fn read(url: String, stop: Arc<AtomicBool>) -> (u32, Duration) {
    let client = crate::server::connect(&url).await;
    let (mut reads, mut longest) = (0, Duration::ZERO);
    while !stop.load(Ordering::SeqCst) {
        let begun = Instant::now();
        client.query("SELECT count(*) FROM t", &[]).await.expect("a reader sees no error");
        longest = longest.max(begun.elapsed());
        reads += 1;
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    (reads, longest)
}
