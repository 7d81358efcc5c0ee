//! An HTTP check: 200 is to go on, anything else to wait. As with freno, a HEAD is enough.

use std::sync::LazyLock;
use std::time::Duration;

use crossfade_core::throttle::Reading;
use crossfade_core::throttle::Signal;
use ureq::Agent;
use ureq::tls::Certificate;
use ureq::tls::RootCerts;
use ureq::tls::TlsConfig;

/// How long an answer may take.
const PATIENCE: Duration = Duration::from_secs(3);

/// Connections are kept, and the system's certificates are trusted.
static AGENT: LazyLock<Agent> = LazyLock::new(|| {
    let system = rustls_native_certs::load_native_certs();
    let roots: Vec<Certificate<'static>> =
        system.certs.iter().map(|certificate| Certificate::from_der(certificate.as_ref()).to_owned()).collect();
    let tls = TlsConfig::builder().root_certs(RootCerts::from(roots)).build();
    Agent::config_builder()
        .timeout_global(Some(PATIENCE))
        .http_status_as_error(false)
        .max_redirects(0)
        .max_redirects_will_error(false)
        .tls_config(tls)
        .build()
        .new_agent()
});

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
