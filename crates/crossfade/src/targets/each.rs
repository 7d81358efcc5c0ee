//! A command on each of several places: in order, so many at a time, the canaries first, and no further where one fails.

use std::collections::VecDeque;
use std::time::Duration;
use std::time::Instant;

use tokio::task::JoinSet;

use super::Place;
use crate::error::Error;
use crate::error::Result;
use crate::stop::Stop;

/// How several places are gone through.
#[derive(Clone, Copy, Debug)]
pub struct EachOptions {
    /// How many at the same time.
    pub parallel: usize,
    /// Whether the others go on where one fails. The canaries must succeed all the same.
    pub keep_going: bool,
    /// Whether the canaries go first, and the first place where none is one. For what changes nothing there is no need.
    pub canaries: bool,
}

/// What came of one place.
#[derive(Debug)]
pub struct Ran<T> {
    /// It.
    pub place: Place,
    /// How it ended.
    pub outcome: Outcome<T>,
    /// How long it took.
    pub took: Duration,
}

/// How the work on one place ended.
#[derive(Debug)]
pub enum Outcome<T> {
    /// It came to this.
    Done(T),
    /// It failed, or was refused.
    Failed(Error),
    /// It was stopped at a safe point, because another one failed.
    Stopped(Error),
    /// It was not begun.
    NotBegun,
}

/// Works on each. The outcomes stand in the order of the places, the canaries at their head.
pub async fn each<T, W, F>(places: Vec<Place>, options: EachOptions, stop: &Stop, work: W) -> Vec<Ran<T>>
where
    T: Send + 'static,
    W: Fn(Place, Stop) -> F,
    F: Future<Output = Result<T>> + Send + 'static,
{
    // A failure stops the others, and is no request of the user's: a second one of those ends the program.
    let own = Stop::default();
    let forward = {
        let (asked, own) = (stop.clone(), own.clone());
        tokio::spawn(async move {
            asked.requested().await;
            own.request();
        })
    };
    let (first, rest) = if options.canaries { with_canaries(places) } else { (Vec::new(), places) };
    let strict = EachOptions { keep_going: false, ..options };
    let mut ran = in_turn(first, strict, stop, &own, &work).await;
    let may_go_on = ran.iter().all(|ran| matches!(ran.outcome, Outcome::Done(_))) && !stop.is_requested();
    if may_go_on {
        ran.extend(in_turn(rest, options, stop, &own, &work).await);
    } else {
        ran.extend(rest.into_iter().map(not_begun));
    }
    forward.abort();
    ran
}

fn not_begun<T>(place: Place) -> Ran<T> {
    Ran { place, outcome: Outcome::NotBegun, took: Duration::ZERO }
}

/// Those that go first, and the others.
fn with_canaries(mut places: Vec<Place>) -> (Vec<Place>, Vec<Place>) {
    if let (false, Some(first)) = (places.iter().any(|place| place.canary), places.first_mut()) {
        first.canary = true;
    }
    places.into_iter().partition(|place| place.canary)
}

async fn in_turn<T, W, F>(places: Vec<Place>, options: EachOptions, asked: &Stop, own: &Stop, work: &W) -> Vec<Ran<T>>
where
    T: Send + 'static,
    W: Fn(Place, Stop) -> F,
    F: Future<Output = Result<T>> + Send + 'static,
{
    let mut outcomes: Vec<Option<(Outcome<T>, Duration)>> = places.iter().map(|_| None).collect();
    let mut waiting: VecDeque<usize> = (0..places.len()).collect();
    let mut running = JoinSet::new();
    let mut by_task = std::collections::HashMap::new();
    let mut failed = false;
    loop {
        while running.len() < options.parallel.max(1) && !own.is_requested() {
            let Some(at) = waiting.pop_front() else { break };
            let task = work(places[at].clone(), own.clone());
            let begun = Instant::now();
            let handle = running.spawn(async move {
                let result = task.await;
                (result, begun.elapsed())
            });
            by_task.insert(handle.id(), at);
        }
        let Some(ended) = running.join_next_with_id().await else { break };
        let (id, result, took) = match ended {
            Ok((id, (result, took))) => (id, result, took),
            Err(error) => (error.id(), Err(Error::failed("the work on it broke off").caused_by(error)), Duration::ZERO),
        };
        let Some(at) = by_task.remove(&id) else { continue };
        let was_stopped = failed && own.is_requested() && !asked.is_requested();
        let outcome = match result {
            Ok(done) => Outcome::Done(done),
            Err(error) if was_stopped => Outcome::Stopped(error),
            Err(error) => Outcome::Failed(error),
        };
        if matches!(outcome, Outcome::Failed(_)) && !options.keep_going {
            failed = true;
            own.request();
        }
        outcomes[at] = Some((outcome, took));
    }
    let ran = places.into_iter().zip(outcomes);
    ran.map(|(place, outcome)| match outcome {
        Some((outcome, took)) => Ran { place, outcome, took },
        None => not_begun(place),
    })
    .collect()
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::Mutex;
    use std::sync::atomic::AtomicUsize;
    use std::sync::atomic::Ordering;

    use super::*;
    use crate::postgres::Target;

    fn places(names: &[&str], canaries: &[&str]) -> Vec<Place> {
        let place = |name: &&str| Place {
            name: (*name).to_owned(),
            target: Target::from_url("postgres://u@h/d").unwrap(),
            journal: "crossfade".to_owned(),
            canary: canaries.contains(name),
            create_schema: false,
        };
        names.iter().map(place).collect()
    }

    fn shown(ran: &[Ran<()>]) -> String {
        let one = |ran: &Ran<()>| {
            let outcome = match &ran.outcome {
                Outcome::Done(()) => "done",
                Outcome::Failed(_) => "failed",
                Outcome::Stopped(_) => "stopped",
                Outcome::NotBegun => "-",
            };
            format!("{}{} {outcome}", ran.place.name, if ran.place.canary { "!" } else { "" })
        };
        ran.iter().map(one).collect::<Vec<_>>().join(", ")
    }

    /// Those with an x in their name fail, those with an s work until they are stopped; what was begun stands behind it.
    async fn run(names: &[&str], canaries: &[&str], options: EachOptions) -> String {
        let begun = Arc::new(Mutex::new(Vec::new()));
        let seen = begun.clone();
        let ran = each(places(names, canaries), options, &Stop::default(), move |place, stop| {
            seen.lock().unwrap().push(place.name.clone());
            async move {
                if place.name.contains('s') {
                    stop.requested().await;
                    return Err(Error::failed("stopped at a safe point"));
                }
                tokio::task::yield_now().await;
                assert!(!place.name.contains("panic"), "this one breaks");
                if place.name.contains('x') { Err(Error::failed("it fails")) } else { Ok(()) }
            }
        })
        .await;
        format!("{}; {}", shown(&ran), begun.lock().unwrap().join(" "))
    }

    fn options(parallel: usize) -> EachOptions {
        EachOptions { parallel, keep_going: false, canaries: true }
    }

    #[tokio::test]
    async fn a_canary_that_fails_is_the_only_one() {
        let keep_going = EachOptions { keep_going: true, ..options(4) };
        assert_eq!(run(&["x", "b", "c"], &[], options(4)).await, "x! failed, b -, c -; x");
        assert_eq!(run(&["a", "x", "c"], &["x"], keep_going).await, "x! failed, a -, c -; x");
    }

    #[tokio::test]
    async fn a_failure_stops_who_runs_and_begins_nobody_else() {
        let after = run(&["a", "s", "x", "b"], &[], options(2)).await;
        assert_eq!(after, "a! done, s stopped, x failed, b -; a s x");
        assert_eq!(run(&["a", "b", "x", "c"], &[], options(1)).await, "a! done, b done, x failed, c -; a b x");
        let broken = run(&["a", "panic", "c"], &[], options(1)).await;
        assert_eq!(broken, "a! done, panic failed, c -; a panic");
    }

    #[tokio::test]
    async fn where_it_is_asked_for_the_others_go_on() {
        let keep_going = EachOptions { keep_going: true, ..options(2) };
        assert_eq!(run(&["a", "x", "c"], &[], keep_going).await, "a! done, x failed, c done; a x c");
        let reading = EachOptions { canaries: false, ..keep_going };
        assert_eq!(run(&["x", "a"], &[], reading).await, "x failed, a done; x a");
        assert_eq!(run(&[], &[], options(1)).await, "; ");
    }

    #[tokio::test]
    async fn a_request_to_stop_is_no_failure_of_another() {
        let stop = Stop::default();
        let asks = stop.clone();
        let work = move |place: Place, own: Stop| {
            let asks = asks.clone();
            async move {
                if place.name == "a" {
                    return Ok(());
                }
                asks.request();
                own.requested().await;
                Err(Error::failed("stopped at a safe point"))
            }
        };
        let ran = each(places(&["a", "b", "c"], &[]), options(1), &stop, work).await;
        assert_eq!(shown(&ran), "a! done, b failed, c -");
    }

    #[tokio::test]
    async fn never_more_at_once_than_was_said() {
        let (now, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
        let seen = most.clone();
        let work = move |_: Place, _: Stop| {
            let (now, most) = (now.clone(), most.clone());
            async move {
                most.fetch_max(now.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
                tokio::task::yield_now().await;
                now.fetch_sub(1, Ordering::SeqCst);
                Ok(())
            }
        };
        let names: Vec<String> = (0..20).map(|at| at.to_string()).collect();
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        let ran = each(places(&names, &[]), options(3), &Stop::default(), work).await;
        assert_eq!(ran.len(), 20);
        assert_eq!(seen.load(Ordering::SeqCst), 3);
    }
}
