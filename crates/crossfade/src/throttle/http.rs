//! An HTTP check: 200 is to go on, anything else to wait. As with freno, a HEAD is enough.

use crossfade_core::throttle::Reading;
use crossfade_core::throttle::Signal;

use crate::web::AGENT;

/// Asks. Whoever does not answer says no.
pub(super) async fn look(address: &str) -> Reading {
    let url = address.to_owned();
    let asked = tokio::task::spawn_blocking(move || ask(&url)).await;
    match asked {
        Ok(Ok(status)) => {
            let meaning = match status {
                200 => "go on",
                404 => "it does not know this check",
                417 => "there is no data for it",
                429 => "too much load",
                500..=599 => "it is in trouble",
                _ => "wait",
            };
            Reading::condition(Signal::Http, "", status != 200, format!("{address} says {status}: {meaning}"))
        }
        Ok(Err(error)) => Reading::unmeasurable(Signal::Http, "", format!("{address} does not answer: {error}")),
        Err(error) => Reading::unmeasurable(Signal::Http, "", format!("{address} could not be asked: {error}")),
    }
}

/// A server that knows no HEAD is asked by GET.
fn ask(url: &str) -> Result<u16, ureq::Error> {
    let status = AGENT.head(url).call()?.status().as_u16();
    if matches!(status, 405 | 501) { Ok(AGENT.get(url).call()?.status().as_u16()) } else { Ok(status) }
}
