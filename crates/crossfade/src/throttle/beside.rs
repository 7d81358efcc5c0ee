//! Looks at the server's statistics again and again for whoever only watches: it reads, and writes nothing.

use std::time::Duration;

use crossfade_core::sql::TableName;
use crossfade_core::throttle::Settings;
use crossfade_core::throttle::Work;
use tokio_postgres::Client;

use super::look::Family;
use super::look::Memory;
use super::look::Seen;
use super::look::look;
use super::once::unmeasurable;
use crate::error::Result;

/// What is remembered from one look to the next.
#[derive(Debug, Default)]
pub(crate) struct Beside {
    memory: Memory,
}

/// What a look came to.
#[derive(Debug, Default)]
pub(crate) struct SeenBeside {
    /// Of the signals that are switched on.
    pub on: Seen,
    /// Of those that are not, and are worth knowing all the same.
    pub off: Seen,
}

impl Beside {
    /// Looks at all of it, each family in a transaction of its own, so that one that fails takes none with it. `now` is the caller's clock.
    pub async fn look(
        &mut self,
        client: &Client,
        settings: &Settings,
        tables: &[TableName],
        now: Duration,
    ) -> SeenBeside {
        let widened = widened(settings);
        let mut all = SeenBeside::default();
        for family in Family::OF_THE_SERVER {
            let on = family.covers(settings, Work::Writes);
            let seen = self.look_in_transaction(family, client, &widened, tables, now).await;
            let seen = seen.unwrap_or_else(|error| Seen {
                readings: unmeasurable(family, settings, &error.chain()),
                ..Seen::default()
            });
            for reading in seen.readings {
                let of = if on.contains(&reading.signal) { &mut all.on } else { &mut all.off };
                of.readings.push(reading);
            }
            all.on.blind.extend(seen.blind.into_iter().filter(|(signal, _)| on.contains(signal)));
        }
        all
    }

    async fn look_in_transaction(
        &mut self,
        family: Family,
        client: &Client,
        settings: &Settings,
        tables: &[TableName],
        now: Duration,
    ) -> Result<Seen> {
        crate::postgres::reading(client, async || look(family, client, settings, tables, &mut self.memory, now).await)
            .await
    }
}

/// With limits where lag and old snapshots have none: they are shown in any case.
fn widened(settings: &Settings) -> Settings {
    let default = Settings::default();
    let mut widened = settings.clone();
    widened.replica_lag = settings.replica_lag.or(default.replica_lag);
    widened.replica_bytes = settings.replica_bytes.or(default.replica_bytes);
    widened.xmin_age = settings.xmin_age.or(default.xmin_age);
    widened
}
