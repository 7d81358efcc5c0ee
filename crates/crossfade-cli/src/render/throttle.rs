//! The throttle for people: every setting, and below it what its signal says now.

use crossfade::report::SettingReport;
use crossfade::report::SignalReport;
use crossfade::report::ThrottleReport;

use super::Paint;

/// The whole report.
pub fn text(report: &ThrottleReport, paint: Paint) -> String {
    let key = report.settings.iter().map(|setting| setting.key.len()).max().unwrap_or_default();
    let value = report.settings.iter().map(|setting| setting.value.chars().count().min(40)).max().unwrap_or_default();
    let mut out = format!("{}\n", paint.bold(&format!("{:key$}  {:value$}  FROM", "KEY", "VALUE")));
    for setting in &report.settings {
        out.push_str(&format!("{:key$}  {:value$}  {}\n", setting.key, setting.value, source(setting, paint)));
        for signal in report.signals.iter().filter(|signal| signal.signal == setting.key) {
            out.push_str(&super::indented(&seen(signal, paint), &" ".repeat(key + 2)));
        }
    }
    out
}

fn source(setting: &SettingReport, paint: Paint) -> String {
    let Some(by) = &setting.set_by else { return paint.dim(setting.source) };
    let mut text = format!("{}: {by}", setting.source);
    if let Some(host) = setting.host.as_ref().filter(|host| !host.is_empty()) {
        text.push_str(&format!(" on {host}"));
    }
    if let Some(at) = &setting.set_at {
        text.push_str(&format!(" at {at}"));
    }
    if let Some(until) = &setting.until {
        text.push_str(&format!(", until {until}"));
    }
    paint.yellow(&text)
}

fn seen(signal: &SignalReport, paint: Paint) -> String {
    if signal.over {
        format!("{} {}", paint.red("✗"), signal.text)
    } else if signal.error.is_some() {
        format!("{} {}", paint.yellow("?"), signal.text)
    } else {
        format!("{} {}", paint.green("✓"), signal.text)
    }
}
