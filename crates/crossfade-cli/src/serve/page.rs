//! The page: one file without anything from elsewhere.

use std::sync::LazyLock;

use axum::http::HeaderValue;
use axum::response::Html;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sha2::Digest as _;
use sha2::Sha256;

const PAGE: &str = include_str!("page.html");

pub(super) async fn page() -> Html<&'static str> {
    Html(PAGE)
}

/// What browsers may do with an answer: run the page's own script, show its own style, and ask this place for documents. Nothing else.
pub(super) fn policy() -> HeaderValue {
    static POLICY: LazyLock<HeaderValue> = LazyLock::new(|| {
        let text = format!(
            "default-src 'none'; script-src '{}'; style-src '{}'; connect-src 'self'; img-src data:; base-uri 'none'; form-action 'none'; \
             frame-ancestors 'none'",
            hash(inside("script")),
            hash(inside("style"))
        );
        HeaderValue::try_from(text).expect("it is plain ASCII")
    });
    POLICY.clone()
}

/// The text of the page's only element of this name.
fn inside(element: &str) -> &'static str {
    let behind = PAGE.split_once(&format!("<{element}>")).map_or("", |(_, behind)| behind);
    behind.split_once(&format!("</{element}>")).map_or("", |(text, _)| text)
}

fn hash(text: &str) -> String {
    format!("sha256-{}", STANDARD.encode(Sha256::digest(text.as_bytes())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_needs_nothing_from_elsewhere() {
        for element in ["script", "style"] {
            assert_eq!(PAGE.matches(&format!("<{element}")).count(), 1);
            assert!(!inside(element).is_empty());
        }
        for outside in
            ["http://", "https://", "src=", "@import", "url(", "<link rel=\"stylesheet\"", " style=", " onclick="]
        {
            assert!(!PAGE.contains(outside), "{outside}");
        }
    }
}
