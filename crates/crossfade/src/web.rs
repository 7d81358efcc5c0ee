//! One agent for everything that is asked or told over HTTP, and the proxy for what goes out into the web. The agent itself would look for one in the environment, which is the
//! caller's to read.

use std::fmt;
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
        .proxy(None)
        .build()
        .new_agent()
});

/// Where a proxy is named, the first that is there; programs differ in how they write it.
const PROXIES: [&str; 6] = ["HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy", "HTTP_PROXY", "http_proxy"];

/// A proxy. It may have a password, and is never shown.
#[derive(Clone, PartialEq, Eq)]
pub struct Proxy(pub(crate) ureq::Proxy);

impl fmt::Debug for Proxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Proxy(…)")
    }
}

impl Proxy {
    /// The one that the usual variables name, and in NO_PROXY the hosts that are reached without it. One that is not understood is none.
    pub fn from_variables(lookup: &dyn Fn(&str) -> Option<String>) -> Option<Proxy> {
        let text = PROXIES.iter().find_map(|name| lookup(name).filter(|value| !value.is_empty()))?;
        let named = ureq::Proxy::new(&text).ok()?;
        let mut builder = ureq::Proxy::builder(named.protocol()).host(named.host()).port(named.port());
        if let Some(user) = named.username() {
            builder = builder.username(user);
        }
        if let Some(password) = named.password() {
            builder = builder.password(password);
        }
        let without = lookup("NO_PROXY").or_else(|| lookup("no_proxy")).unwrap_or_default();
        let without = without.split(',').map(str::trim).filter(|host| !host.is_empty());
        without.fold(builder, |builder, host| builder.no_proxy(host)).build().ok().map(Proxy)
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read as _;
    use std::io::Write as _;
    use std::net::TcpListener;

    use super::*;

    fn proxy(pairs: &[(&str, &str)]) -> Option<Proxy> {
        Proxy::from_variables(&|name| pairs.iter().find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned()))
    }

    #[test]
    fn a_proxy_is_what_the_caller_says() {
        assert_eq!(proxy(&[]), None);
        assert_eq!(proxy(&[("HTTPS_PROXY", "")]), None);
        assert_eq!(proxy(&[("HTTPS_PROXY", "no scheme:// at all")]), None);
        let named = proxy(&[("HTTPS_PROXY", "http://me:s3cr%40t@p:8080"), ("NO_PROXY", ".inner, 127.0.0.1")]).unwrap();
        assert_eq!((named.0.host(), named.0.port()), ("p", 8080));
        assert_eq!((named.0.username(), named.0.password()), (Some("me"), Some("s3cr@t")));
        assert!(named.0.is_no_proxy(&"http://a.inner/".parse().unwrap()));
        assert!(!named.0.is_no_proxy(&"http://b/".parse().unwrap()));
        assert!(!format!("{named:?}").contains("s3cr"));
    }

    /// What the environment of this process says must not matter: the agent was made to ask nobody.
    #[test]
    fn the_agent_asks_no_proxy_of_the_environment() {
        assert_eq!(AGENT.config().proxy(), None);
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let answered = std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            // A request may come in pieces.
            let (mut asked, mut bytes) = (Vec::new(), [0; 1000]);
            while !asked.windows(4).any(|end| end == b"\r\n\r\n") {
                let read = stream.read(&mut bytes).unwrap();
                assert!(read > 0, "it ended before its head did");
                asked.extend_from_slice(&bytes[..read]);
            }
            stream.write_all(b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\nConnection: close\r\n\r\n").unwrap();
            String::from_utf8_lossy(&asked).into_owned()
        });
        let named = proxy(&[("HTTP_PROXY", &format!("http://{address}"))]).unwrap();
        let request = AGENT.get("http://hooks.invalid/x").config().proxy(Some(named.0)).build();
        assert!(request.call().is_err(), "the proxy lets nothing through");
        let asked = answered.join().unwrap();
        assert!(asked.contains("hooks.invalid"), "{asked}");
    }
}
