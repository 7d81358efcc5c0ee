//! `crossfade demo`, the real binary: a live migration without an error, the outage without Crossfade, and Ctrl-C.

#![expect(clippy::unwrap_used, reason = "a test may panic, and so may what it calls")]

use std::fs;
use std::io::BufRead as _;
use std::io::BufReader;
use std::os::unix::fs::PermissionsExt as _;
use std::process::Command;
use std::process::Stdio;

use nix::sys::signal::Signal;
use nix::sys::signal::kill;
use nix::unistd::Pid;
use serde_json::Value;

#[test]
fn a_live_rename_has_no_error_and_loses_no_write() {
    let (code, report) = demo(&[]);
    assert_eq!(report["totals"]["errors"], 0, "{report:#}");
    assert_eq!(report["totals"]["lost_writes"], 0, "{report:#}");
    assert_eq!(code, 0);
    assert_eq!(report["naive"], false);
    let names = ["baseline", "expand+backfill", "ready", "deploy", "deployed", "contract", "after", "purge"];
    assert_eq!(every_phase(&report), names);
    assert!(report["phases"][1]["backfill_rows_per_second"].as_f64() > Some(0.0), "{report:#}");
    assert!(report["totals"]["rows_checked"].as_u64() > Some(20_000), "{report:#}");
}

#[test]
fn without_crossfade_there_is_an_outage() {
    let (code, report) = demo(&["--naive"]);
    assert_eq!(code, 0);
    assert_eq!(report["naive"], true);
    let names = ["baseline", "rename", "deploy", "deployed", "baseline", "copy", "deploy", "deployed", "drop"];
    assert_eq!(every_phase(&report), names);
    assert_eq!(report["phases"][0]["errors"], 0);
    assert_eq!(report["phases"][1]["scenario"], "direct-rename");
    assert!(report["phases"][1]["errors"].as_u64() > Some(0), "{report:#}");
    let text = report["phases"][1]["error_texts"][0]["text"].as_str().unwrap();
    assert!(text.contains("column \"email\"") && text.contains("does not exist"), "{text}");
    assert!(report["totals"]["lost_writes"].as_u64() > Some(0), "{report:#}");
}

#[test]
fn ctrl_c_leaves_nothing_behind() {
    let folder = tempfile::tempdir().unwrap();
    // As root, the server runs as somebody else.
    fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755)).unwrap();
    let mut command = command(&[]);
    let mut demo = command.env("TMPDIR", folder.path()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(demo.stderr.take().unwrap()).lines().map(Result::unwrap);
    assert!(lines.any(|line| line.starts_with("baseline")));
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);

    kill(Pid::from_raw(demo.id().try_into().unwrap()), Signal::SIGINT).unwrap();
    assert!(lines.any(|line| line.starts_with("interrupted")));
    let output = demo.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(130));
    assert_eq!(String::from_utf8(output.stdout).unwrap(), "");
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
}

#[test]
fn without_postgresql_it_says_how_to_get_it() {
    let folder = tempfile::tempdir().unwrap();
    let output = command(&[]).env("CROSSFADE_PG_BIN", folder.path()).output().unwrap();
    assert_eq!(output.status.code(), Some(2));
    let said = String::from_utf8(output.stdout).unwrap();
    assert!(said.contains("CROSSFADE_PG_BIN") && said.contains("initdb"), "{said}");
}

/// Runs a small demo; its exit code and its document.
fn demo(more: &[&str]) -> (i32, Value) {
    let output = command(more).output().unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    let report = serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{error}\n{said}"));
    (output.status.code().unwrap(), report)
}

fn command(more: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_crossfade"));
    command.args(["demo", "--rows", "20000", "--apps", "10", "--phase-seconds", "0.3", "--json"]).args(more);
    command
}

/// The names of the phases, all of which had requests.
fn every_phase(report: &Value) -> Vec<&str> {
    let phases = report["phases"].as_array().unwrap();
    for phase in phases {
        assert!(phase["requests"].as_u64() > Some(0), "{phase:#}");
        assert!(phase["max_ms"].as_f64() >= phase["p50_ms"].as_f64(), "{phase:#}");
    }
    phases.iter().map(|phase| phase["name"].as_str().unwrap()).collect()
}
