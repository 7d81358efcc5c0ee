//! The runbook of what is pending or under way, as HTML. It plans, so it is made when somebody asks, and kept for a while.

use std::sync::Arc;
use std::time::Duration;
use std::time::Instant;

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use crossfade::report::REPORT_FORMAT;
use pulldown_cmark::Event;
use pulldown_cmark::Options;
use pulldown_cmark::Parser;
use pulldown_cmark::Tag;
use pulldown_cmark::TagEnd;
use serde::Serialize;
use tokio::sync::Mutex;

use super::Desk;
use super::json;
use crate::render;

/// So long one is kept.
const KEPT: Duration = Duration::from_secs(20);

/// The last one that was made.
#[derive(Debug, Default)]
pub(super) struct Shelf {
    last: Mutex<Option<(Instant, Arc<RunbookPage>)>>,
}

/// What `GET /api/v1/runbook` answers.
#[derive(Debug, Serialize)]
struct RunbookPage {
    format: u32,
    markdown: String,
    html: String,
}

pub(super) async fn runbook(State(desk): State<Arc<Desk>>) -> Response {
    // One at a time: who comes meanwhile gets what the first one has made.
    let mut last = desk.runbook.last.lock().await;
    if let Some((made, page)) = &*last
        && made.elapsed() < KEPT
    {
        return json(StatusCode::OK, page.as_ref());
    }
    match desk.migrator.runbook(&[]).await {
        Ok(report) => {
            let markdown = render::runbook::markdown(&report);
            let page = Arc::new(RunbookPage { format: REPORT_FORMAT, html: html(&markdown), markdown });
            *last = Some((Instant::now(), page.clone()));
            json(StatusCode::OK, page.as_ref())
        }
        Err(error) => json(StatusCode::BAD_GATEWAY, &render::error::document(&error)),
    }
}

/// Names of tables and reasons of people stand in it: what looks like HTML is shown as it is written, and nothing is a link.
fn html(markdown: &str) -> String {
    let events = Parser::new_ext(markdown, Options::ENABLE_TABLES).filter_map(|event| match event {
        Event::Html(text) | Event::InlineHtml(text) => Some(Event::Text(text)),
        Event::Start(Tag::Link { .. } | Tag::Image { .. }) | Event::End(TagEnd::Link | TagEnd::Image) => None,
        event => Some(event),
    });
    let mut out = String::new();
    pulldown_cmark::html::push_html(&mut out, events);
    out
}

#[cfg(test)]
mod tests {
    use super::html;

    #[test]
    fn nothing_in_it_is_markup_of_somebody_else() {
        let out = html(
            "# `a` <b>x</b>\n\n<script>y()</script>\n\n[l](javascript:z) ![i](http://x/y)\n\n| a |\n| --- |\n| 1 |\n",
        );
        assert!(out.contains("<h1><code>a</code> &lt;b&gt;x&lt;/b&gt;</h1>") && out.contains("<td>1</td>"), "{out}");
        for active in ["<script", "<a ", "<img", "javascript:"] {
            assert!(!out.contains(active), "{active} in {out}");
        }
    }
}
