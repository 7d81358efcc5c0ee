//! A query of the user's: above 0 is to wait, or to stop.

use crossfade_core::throttle::Reading;
use crossfade_core::throttle::Signal;
use tokio_postgres::Client;
use tokio_postgres::SimpleQueryMessage;

use crate::error::Doing as _;
use crate::error::Result;

/// Nothing is set for the session: behind a pooler it is shared with others.
const BEGIN: &str = "BEGIN READ ONLY; SET LOCAL statement_timeout = '4s'; SET LOCAL lock_timeout = '1s'";

/// Runs it in a transaction that only reads, and takes the first column of its first row. What goes wrong is said, and nothing is guessed.
pub(super) async fn look(client: &Client, signal: Signal, query: &str) -> Result<Reading> {
    client.batch_execute(BEGIN).await.doing("ask the query of the throttle")?;
    let answer = client.simple_query(query).await;
    // It may have ended the transaction itself, or broken it.
    client.batch_execute("ROLLBACK").await.doing("ask the query of the throttle")?;
    let messages = match answer {
        Ok(messages) => messages,
        Err(error) => {
            let said = error.as_db_error().map_or_else(|| error.to_string(), |db| db.message().to_owned());
            return Ok(Reading::unmeasurable(signal, "", said));
        }
    };
    let first = messages.iter().find_map(|message| match message {
        SimpleQueryMessage::Row(row) => Some(row.get(0).map(str::to_owned)),
        _ => None,
    });
    Ok(match first.flatten() {
        None => Reading::unmeasurable(signal, "", "the query gives no value"),
        Some(text) => match number(&text) {
            Some(value) => Reading::value(signal, "", value, 0.0, format!("the query says {text}")),
            None => Reading::unmeasurable(signal, "", format!("the query gives \"{text}\", which is no number")),
        },
    })
}

/// A number, or yes and no as PostgreSQL writes them.
fn number(text: &str) -> Option<f64> {
    match text {
        "t" | "true" => Some(1.0),
        "f" | "false" => Some(0.0),
        other => other.parse().ok().filter(|value: &f64| !value.is_nan()),
    }
}

#[cfg(test)]
mod tests {
    use super::number;

    #[test]
    fn answers() {
        assert_eq!(
            [number("t"), number("f"), number("2.5"), number("-1")],
            [Some(1.0), Some(0.0), Some(2.5), Some(-1.0)]
        );
        assert_eq!([number("yes"), number("NaN"), number("")], [None, None, None]);
    }
}
