//! A POST to an address, tried again where that can help. Off the threads of the runtime.

use std::time::Duration;
use std::time::Instant;

use serde_json::Value;

use super::outcome::Failure;
use super::settings::is_address;
use crate::web::AGENT;
use crate::web::Proxy;

/// How long it rests before the second try; twice as long each time.
const FIRST_REST: Duration = Duration::from_millis(500);

/// So much of an answer is shown.
const ANSWER: u64 = 200;

/// What came of one try.
enum Tried {
    Sent(String),
    /// Another try may do.
    Passing(Failure),
    /// It will be the same each time.
    Lasting(Failure),
}

/// Sends it. Returns what came back, or why it failed; neither has the address in it.
pub(super) async fn call(
    address: &str,
    proxy: Option<&Proxy>,
    body: &Value,
    retries: u32,
    timeout: Duration,
) -> Result<String, Failure> {
    if !is_address(address) {
        return Err(Failure::new("its address does not begin with https:// or http://", ""));
    }
    let end = Instant::now() + timeout;
    let mut rest = FIRST_REST;
    let mut tries = 1;
    loop {
        let left = end.saturating_duration_since(Instant::now());
        let (url, proxy, text) = (address.to_owned(), proxy.cloned(), body.to_string());
        let tried = tokio::task::spawn_blocking(move || post(&url, proxy, &text, left)).await;
        let why = match tried {
            Ok(Tried::Sent(answer)) => return Ok(answer),
            Ok(Tried::Lasting(why)) => return Err(why),
            Ok(Tried::Passing(why)) => why,
            Err(error) => return Err(Failure::new("it could not be sent", &format!(": {error}"))),
        };
        let has_time = Instant::now() + rest < end;
        if tries > retries || !has_time {
            let times = if tries == 1 { "1 try".to_owned() } else { format!("{tries} tries") };
            return Err(why.and(&format!(" ({times})")));
        }
        tokio::time::sleep(rest).await;
        rest *= 2;
        tries += 1;
    }
}

fn post(url: &str, proxy: Option<Proxy>, text: &str, left: Duration) -> Tried {
    let config = AGENT.post(url).config().timeout_global(Some(left)).proxy(proxy.map(|proxy| proxy.0));
    let request = config.build().content_type("application/json");
    match request.send(text) {
        Ok(mut response) => {
            let status = response.status().as_u16();
            let body = response.body_mut().with_config().limit(ANSWER * 10).lossy_utf8(true).read_to_string();
            let line: String = body.unwrap_or_default().chars().take(ANSWER as usize).collect();
            let line = without_address(line.lines().next().unwrap_or_default().trim(), url);
            let answer = if line.is_empty() { status.to_string() } else { format!("{status} {line}") };
            let failure = || {
                let more = if line.is_empty() { String::new() } else { format!(" {line}") };
                Failure::new(format!("it answered {status}"), &more)
            };
            match status {
                200..=299 => Tried::Sent(answer),
                408 | 425 | 429 | 500..=599 => Tried::Passing(failure()),
                _ => Tried::Lasting(failure()),
            }
        }
        Err(error) => {
            let why = without_address(&error.to_string(), url);
            match error {
                ureq::Error::BadUri(_) | ureq::Error::Http(_) => {
                    Tried::Lasting(Failure::new("its address is not understood", ""))
                }
                _ => Tried::Passing(Failure::new("it does not answer", &format!(": {why}"))),
            }
        }
    }
}

/// A text in which the address may be repeated, without what is secret in it.
fn without_address(text: &str, url: &str) -> String {
    let behind_host = url.splitn(4, '/').nth(3).filter(|path| path.len() > 3);
    let mut text = text.replace(url, "…");
    if let Some(path) = behind_host {
        text = text.replace(path, "…");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_address_is_not_repeated() {
        let url = "https://hooks.example/services/T0/s3cret";
        for text in ["bad uri https://hooks.example/services/T0/s3cret", "no POST /services/T0/s3cret here"] {
            assert!(!without_address(text, url).contains("s3cret"), "{text}");
        }
        assert_eq!(without_address("a / b", "http://x/"), "a / b");
    }

    #[tokio::test]
    async fn what_is_no_address_is_said_without_it() {
        for address in ["ftp://s3cret", "", "http:// s3cret"] {
            let error = call(address, None, &Value::Null, 3, Duration::from_secs(5)).await.unwrap_err().why;
            assert!(error.contains("address") && !error.contains("s3cret"), "{error}");
        }
    }
}
