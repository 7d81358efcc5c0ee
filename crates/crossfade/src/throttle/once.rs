//! One look at everything, for a person who asks.

use std::time::Duration;
use std::time::SystemTime;
use std::time::UNIX_EPOCH;

use crossfade_core::sql::TableName;
use crossfade_core::throttle::Reading;
use crossfade_core::throttle::Settings;
use crossfade_core::throttle::Signal;
use crossfade_core::throttle::Work;
use crossfade_core::throttle::look_at_the_calendar;
use tokio_postgres::Client;

use super::http;
use super::look::Family;
use super::look::Memory;
use super::look::Seen;
use super::look::look;
use super::pulse;
use super::query;
use crate::error::Result;
use crate::postgres::reading;
use crate::postgres::store::Store;

/// Looks at every signal that is switched on, each family in a transaction with limits of its own. What goes wrong is in what was seen.
pub(crate) async fn look_once(
    client: &Client,
    journal: Option<&Store>,
    settings: &Settings,
    tables: &[TableName],
) -> Seen {
    let mut all = Seen::default();
    let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    all.readings.extend(look_at_the_calendar(settings, since_epoch));
    for (signal, text) in [(Signal::Query, &settings.query), (Signal::Critical, &settings.critical)] {
        if let Some(text) = text {
            let seen = query::look(client, signal, text).await;
            let failed = |error: crate::Error| Reading::unmeasurable(signal, "", error.chain());
            all.push(seen.unwrap_or_else(failed));
        }
    }
    if let Some(address) = &settings.http {
        all.push(http::look(address).await);
    }
    let mut memory = Memory::default();
    for family in Family::OF_THE_SERVER {
        let seen =
            reading(client, async || look(family, client, settings, tables, &mut memory, Duration::ZERO).await).await;
        match seen {
            Ok(seen) => {
                all.readings.extend(seen.readings);
                all.blind.extend(seen.blind);
            }
            Err(error) => all.readings.extend(unmeasurable(family, settings, &error.chain())),
        }
    }
    if let Some(store) = journal {
        match pulse::look(client, &store.schema, settings, None).await {
            Ok(readings) => all.readings.extend(readings),
            Err(error) => all.readings.extend(unmeasurable(Family::Pulse, settings, &error.chain())),
        }
    }
    all
}

/// The replicas that are too far behind, each with how far.
pub(crate) async fn replicas_behind(client: &Client, settings: &Settings) -> Result<Vec<String>> {
    let mut memory = Memory::default();
    let seen = look(Family::Replicas, client, settings, &[], &mut memory, Duration::ZERO).await?;
    Ok(seen.readings.iter().filter(|reading| reading.is_over()).map(Reading::reason).collect())
}

pub(super) fn unmeasurable(family: Family, settings: &Settings, why: &str) -> Vec<Reading> {
    let signals = family.covers(settings, Work::Writes);
    signals.into_iter().map(|signal| Reading::unmeasurable(signal, "", why)).collect()
}
