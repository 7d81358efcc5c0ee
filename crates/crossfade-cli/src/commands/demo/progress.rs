//! Shows what the migrator does, and notes how fast it fills rows.

use std::time::Duration;
use std::time::Instant;

use crossfade::observer::Notice;
use crossfade::observer::Observer;

use super::people;
use super::people::say;

/// Not more than one line of progress in this time.
const PAUSE: Duration = Duration::from_secs(1);

/// Watches the migrator.
#[derive(Debug, Default)]
pub struct Progress {
    step_began: Option<Instant>,
    last_line: Option<Instant>,
    swept: Option<Swept>,
}

/// The first chunked step: the backfill, which its verification follows.
#[derive(Clone, Copy, Debug)]
struct Swept {
    step_began: Instant,
    rows: u64,
    took: Duration,
}

impl Progress {
    /// How many rows were filled a second, pauses included.
    pub fn rows_per_second(&self) -> Option<f64> {
        let swept = self.swept.filter(|swept| swept.rows > 0 && !swept.took.is_zero())?;
        Some(swept.rows as f64 / swept.took.as_secs_f64())
    }

    fn swept(&mut self, rows: u64) {
        let Some(step_began) = self.step_began else { return };
        let first = self.swept.map_or(step_began, |swept| swept.step_began);
        if first == step_began {
            self.swept = Some(Swept { step_began, rows, took: step_began.elapsed() });
        }
    }

    fn may_speak(&mut self) -> bool {
        let may = self.last_line.is_none_or(|last| last.elapsed() >= PAUSE);
        if may {
            self.last_line = Some(Instant::now());
        }
        may
    }
}

impl Observer for Progress {
    fn notice(&mut self, notice: Notice) {
        let line = match notice {
            Notice::StepStarted { number, of, summary, .. } => {
                self.step_began = Some(Instant::now());
                self.last_line = self.step_began;
                format!("[{number}/{of}] {}", cut(&summary, 74))
            }
            Notice::Progress { rows, estimated_rows, fraction, rate, eta } => {
                self.swept(rows);
                if !self.may_speak() {
                    return;
                }
                let left = eta.map_or(String::new(), |eta| format!(", {} s left", eta.as_secs()));
                let (rows, of) = (people::count(rows), people::count(estimated_rows));
                format!("{:>5.0} %  {rows} of {of} rows, {}{left}", fraction * 100.0, people::rate(rate))
            }
            Notice::Blocked { attempt, blockers, .. } => {
                let blocker = blockers.first().map_or("by somebody who is gone already", String::as_str);
                format!("the lock is taken (try {attempt}): {}", cut(blocker, 55))
            }
            Notice::Retrying { reason } => format!("tries again: {}", cut(&reason, 67)),
            Notice::Paused { reason, .. } => format!("waits: {}", cut(&reason, 73)),
            Notice::Resumed { after, .. } => format!("goes on after {} s", after.as_secs()),
            Notice::Info { text } => cut(&text, 80),
            Notice::LeaseHeld { .. }
            | Notice::MigrationStarted { .. }
            | Notice::Found { .. }
            | Notice::StepFinished { .. }
            | Notice::Compared { .. }
            | Notice::RoundEnded { .. }
            | Notice::HookFailed { .. }
            | Notice::MigrationStopped { .. } => return,
        };
        say(&format!("{:16}{line}", ""));
    }
}

/// One line of at most so many characters.
fn cut(text: &str, width: usize) -> String {
    let line = text.lines().next().unwrap_or_default();
    if line.chars().count() <= width {
        return line.to_owned();
    }
    line.chars().take(width - 1).chain(['…']).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_lines_are_cut() {
        assert_eq!(cut("abcdef", 6), "abcdef");
        assert_eq!(cut("äbcdefg", 6), "äbcde…");
        assert_eq!(cut("one\ntwo", 6), "one");
    }
}
