//! Pause, resume and throttle by POST, with the token.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering;

use axum::body::Bytes;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::http::StatusCode;
use axum::http::header;
use axum::response::IntoResponse as _;
use axum::response::Response;
use crossfade::Error;
use crossfade::ErrorKind;
use crossfade::LiveChange;
use crossfade::Result;
use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::Desk;
use super::json;
use crate::commands::change_of;
use crate::commands::time_of;
use crate::render;

/// How often each action was asked for.
#[derive(Debug, Default)]
pub(super) struct Counts {
    done: AtomicU64,
    failed: AtomicU64,
    denied: AtomicU64,
}

impl Counts {
    /// By what came of them.
    pub fn by_result(&self) -> [(&'static str, u64); 3] {
        [("done", &self.done), ("failed", &self.failed), ("denied", &self.denied)]
            .map(|(name, count)| (name, count.load(Ordering::Relaxed)))
    }
}

/// Of `pause` and `resume`.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Steer {
    version: Option<String>,
    reason: Option<String>,
}

/// Of `throttle`.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Throttling {
    settings: BTreeMap<String, String>,
    #[serde(rename = "for")]
    during: Option<String>,
}

pub(super) async fn pause(State(desk): State<Arc<Desk>>, headers: HeaderMap, body: Bytes) -> Response {
    act(&desk, &headers, "pause", async || {
        let Steer { version, reason } = read(&body)?;
        document(&desk.migrator.pause(version.as_deref(), reason.as_deref()).await?)
    })
    .await
}

pub(super) async fn resume(State(desk): State<Arc<Desk>>, headers: HeaderMap, body: Bytes) -> Response {
    act(&desk, &headers, "resume", async || {
        let Steer { version, reason } = read(&body)?;
        if reason.is_some() {
            return Err(Error::usage("a reason is for a pause"));
        }
        document(&desk.migrator.resume(version.as_deref()).await?)
    })
    .await
}

pub(super) async fn throttle(State(desk): State<Arc<Desk>>, headers: HeaderMap, body: Bytes) -> Response {
    act(&desk, &headers, "throttle", async || {
        let Throttling { settings, during } = read(&body)?;
        let changes = settings.iter().map(|(key, value)| change_of(key, value)).collect::<Result<Vec<LiveChange>>>()?;
        if changes.is_empty() {
            return Err(Error::usage("nothing is set").hint(r#"{"settings": {"duty": "0.1"}, "for": "2h"}"#));
        }
        let during = during.as_deref().map(|text| time_of("for", text)).transpose()?;
        desk.migrator.set_throttle(&changes, during).await?;
        document(&desk.migrator.throttle().await?)
    })
    .await
}

/// Looks for the token, then acts.
async fn act(
    desk: &Desk,
    headers: &HeaderMap,
    action: &'static str,
    work: impl AsyncFnOnce() -> Result<serde_json::Value>,
) -> Response {
    let Some(token) = &desk.token else {
        desk.counts.denied.fetch_add(1, Ordering::Relaxed);
        let words = "actions are switched off: start it with --token-file FILE, or with CROSSFADE_SERVE_TOKEN\n";
        return (StatusCode::FORBIDDEN, words).into_response();
    };
    if !headers.get(header::AUTHORIZATION).is_some_and(|said| token.is_in(said.as_bytes())) {
        desk.counts.denied.fetch_add(1, Ordering::Relaxed);
        tracing::warn!(action, "an action was asked for without the right token");
        let challenge = [(header::WWW_AUTHENTICATE, "Bearer")];
        return (StatusCode::UNAUTHORIZED, challenge, "the token is missing or wrong\n").into_response();
    }
    match work().await {
        Ok(document) => {
            desk.counts.done.fetch_add(1, Ordering::Relaxed);
            tracing::info!(action, "done by request");
            json(StatusCode::OK, &document)
        }
        Err(error) => {
            desk.counts.failed.fetch_add(1, Ordering::Relaxed);
            let code = match error.kind() {
                ErrorKind::Usage => StatusCode::BAD_REQUEST,
                ErrorKind::Refused => StatusCode::CONFLICT,
                ErrorKind::Failed => StatusCode::BAD_GATEWAY,
            };
            json(code, &render::error::document(&error))
        }
    }
}

/// What a request asks for. Nothing at all is an empty document.
fn read<T: DeserializeOwned + Default>(body: &[u8]) -> Result<T> {
    if body.trim_ascii().is_empty() {
        return Ok(T::default());
    }
    serde_json::from_slice(body).map_err(|error| Error::usage("the request is not understood").caused_by(error))
}

fn document(report: &impl serde::Serialize) -> Result<serde_json::Value> {
    serde_json::to_value(report).map_err(|error| Error::failed("the document can't be written").caused_by(error))
}
