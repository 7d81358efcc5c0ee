//! `crossfade throttle`: shows what holds backfills up, and changes it while they run.

use crossfade::Error;
use crossfade::LiveChange;
use crossfade::Result;
use crossfade_core::throttle::Key;

use super::Context;
use super::time_of;
use crate::args::ThrottleArgs;
use crate::render;

pub(super) async fn run(args: &ThrottleArgs, context: &Context) -> Result<u8> {
    let changes = args.settings.iter().map(|text| change(text)).collect::<Result<Vec<_>>>()?;
    let during = args.during.as_deref().map(|text| time_of("--for", text)).transpose()?;
    if during.is_some() && changes.iter().all(|change| change.value.is_none()) {
        return Err(Error::usage("--for says how long a setting holds, and none is set")
            .hint("crossfade throttle duty=0.1 --for 2h"));
    }
    let migrator = context.migrator(context.config()?).await?;
    if !changes.is_empty() {
        migrator.set_throttle(&changes, during).await?;
    }
    let report = migrator.throttle().await?;
    if context.screen.is_json() {
        context.screen.document(&report)?;
    } else {
        context.screen.print(&render::throttle::text(&report, context.screen.out()))?;
    }
    Ok(0)
}

/// Reads `KEY=VALUE`, or `KEY=default`, which takes it back.
fn change(text: &str) -> Result<LiveChange> {
    let (key, value) = text.split_once('=').ok_or_else(|| {
        Error::usage(format!("\"{text}\" sets nothing")).hint("write KEY=VALUE, for example replica_lag=10s")
    })?;
    change_of(key, value)
}

/// The same, taken apart already.
pub(crate) fn change_of(key: &str, value: &str) -> Result<LiveChange> {
    let keys = || format!("the keys are {}", Key::ALL.map(Key::name).join(", "));
    let key = Key::by_name(key.trim())
        .ok_or_else(|| Error::usage(format!("\"{}\" is no key of the throttle", key.trim())).hint(keys()))?;
    let value = value.trim();
    Ok(LiveChange { key, value: (value != "default").then(|| value.to_owned()) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_are_taken_apart_at_the_first_sign() {
        let read = |text: &str| change(text).ok().map(|change| (change.key, change.value));
        assert_eq!(read("duty=0.5"), Some((Key::Duty, Some("0.5".to_owned()))));
        let query = "SELECT count(*) FROM q WHERE state = 'busy'";
        assert_eq!(read(&format!("query={query}")), Some((Key::Query, Some(query.to_owned()))));
        assert_eq!(read("slots=default"), Some((Key::Slots, None)));
        assert_eq!((read("duty"), read("speed=1")), (None, None));
    }
}
