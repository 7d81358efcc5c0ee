//! The real binary: those who look at a migration from beside it, by `serve`, in a browser and on a terminal.

#![expect(clippy::unwrap_used, reason = "a test stops where it can't go on")]

mod browser;
mod chromium;
mod dashboard;
mod exposition;
mod pty;
mod scene;
mod serve;
mod verifying;
mod watch;
