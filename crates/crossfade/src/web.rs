//! One agent for everything that is asked or told over HTTP.

use std::sync::LazyLock;
use std::time::Duration;

use ureq::Agent;
use ureq::tls::Certificate;
use ureq::tls::RootCerts;
use ureq::tls::TlsConfig;

/// How long an answer may take where the caller says nothing else.
const PATIENCE: Duration = Duration::from_secs(3);

/// Connections are kept, and the system's certificates are trusted.
pub(crate) static AGENT: LazyLock<Agent> = LazyLock::new(|| {
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
