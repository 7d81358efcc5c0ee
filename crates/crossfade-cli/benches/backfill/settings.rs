//! How big the table is and how often each way is gone, from the environment.

use std::str::FromStr;

use crossfade::Error;
use crossfade::Result;

/// Below this a fill is over before it can be measured, and a tenth of the rows even more so.
const FEWEST_ROWS: u64 = 10_000;

/// What the environment says.
#[derive(Clone, Copy, Debug)]
pub struct Settings {
    /// Rows of the table (`ROWS`).
    pub rows: u64,
    /// How often each way is gone (`TURNS`).
    pub turns: u32,
}

impl Settings {
    /// Reads them.
    pub fn read() -> Result<Settings> {
        let settings = Settings { rows: number("ROWS", 3_000_000)?, turns: number("TURNS", 3)? };
        if settings.rows < FEWEST_ROWS || settings.turns == 0 {
            return Err(Error::usage(format!("ROWS is at least {FEWEST_ROWS}, and TURNS at least 1")));
        }
        Ok(settings)
    }
}

fn number<N: FromStr>(name: &str, default: N) -> Result<N> {
    match std::env::var(name) {
        Ok(given) if !given.is_empty() => {
            given.parse().map_err(|_| Error::usage(format!("{name} is {given:?}, which is not such a number")))
        }
        Ok(_) | Err(_) => Ok(default),
    }
}
