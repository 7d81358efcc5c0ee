//! Who may ask, and what every answer says to browsers.
//!
//! A page elsewhere can let a name of its own point to 127.0.0.1 and then read what listens there, as if it were its own (DNS rebinding). The
//! name stands in the Host header: where it listens for this machine alone, only this machine's names are answered.

use std::net::IpAddr;
use std::sync::Arc;

use axum::extract::Request;
use axum::extract::State;
use axum::http::HeaderValue;
use axum::http::StatusCode;
use axum::http::header;
use axum::middleware::Next;
use axum::response::IntoResponse as _;
use axum::response::Response;

use super::Desk;
use super::page;

pub(super) async fn guard(State(desk): State<Arc<Desk>>, request: Request, next: Next) -> Response {
    let host = request.headers().get(header::HOST).and_then(|host| host.to_str().ok());
    let is_ours = !desk.loopback || host.is_some_and(is_this_machine);
    let mut response = if is_ours {
        next.run(request).await
    } else {
        let words = "it listens for this machine alone: ask for http://127.0.0.1 or http://localhost\n";
        (StatusCode::MISDIRECTED_REQUEST, words).into_response()
    };
    let headers = response.headers_mut();
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(header::REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    headers.insert(header::X_FRAME_OPTIONS, HeaderValue::from_static("DENY"));
    headers.insert(header::CONTENT_SECURITY_POLICY, page::policy());
    response
}

/// Whether a Host header, with or without a port, is a name or an address of this machine alone.
fn is_this_machine(host: &str) -> bool {
    let name = match host.strip_prefix('[') {
        Some(rest) => rest.split(']').next().unwrap_or_default(),
        None => host.split(':').next().unwrap_or_default(),
    };
    name.eq_ignore_ascii_case("localhost") || name.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_names_of_this_machine_are_answered() {
        for ours in ["localhost", "LOCALHOST:8432", "127.0.0.1:8432", "127.1.2.3", "[::1]:8432"] {
            assert!(is_this_machine(ours), "{ours}");
        }
        for other in ["", "example.org", "localhost.example.org", "127.0.0.1.example.org:8432", "10.0.0.1", "[::2]:1"] {
            assert!(!is_this_machine(other), "{other}");
        }
    }
}
