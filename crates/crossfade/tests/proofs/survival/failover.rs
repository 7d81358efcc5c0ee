//! Failover: the primary is gone, its standby is promoted, and the same command goes on there from the same cursor.

use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use crossfade::Target;
use crossfade::scratch::ScratchServer;
use nix::unistd::User;

use super::bin_dir_with;
use super::number;
use super::skip;
use super::survive;
use super::until;
use crate::server::run;
use crate::server::start_with;

const PRIMARY: [(&str, &str); 3] = [("wal_level", "replica"), ("max_wal_senders", "5"), ("synchronous_commit", "on")];

/// Makes a streaming standby out of a server whose data nobody needs.
fn follow(standby: &mut ScratchServer, primary: &ScratchServer) {
    standby.crash().expect("it ends");
    let data = standby.socket_dir().join("data");
    let settings = std::fs::read(data.join("postgresql.conf")).expect("the settings can be read");
    std::fs::remove_dir_all(&data).expect("the data can be removed");
    base_backup(primary, &data);
    // Its own socket, and not the primary's.
    std::fs::write(data.join("postgresql.conf"), settings).expect("the settings can be written");
    standby.start_again().expect("it follows");
}

fn base_backup(primary: &ScratchServer, data: &Path) {
    let mut backup = Command::new(primary.bin_dir().join("pg_basebackup"));
    backup.arg("-D").arg(data).args(["-R", "--no-sync", "-c", "fast", "-X", "stream", "-U", "postgres"]);
    backup.arg("-h").arg(primary.socket_dir()).arg("-p").arg(primary.port().to_string()).current_dir("/");
    // The server does not run as root, and its files must be its own.
    if nix::unistd::geteuid().is_root() {
        let named = |name| User::from_name(name).ok().flatten();
        let account = named("postgres").or_else(|| named("nobody")).expect("the primary runs as somebody");
        backup.uid(account.uid.as_raw()).gid(account.gid.as_raw());
    }
    let output = backup.output().expect("pg_basebackup can be run");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

#[test]
fn after_a_failover_it_goes_on_from_the_cursor() {
    let Some(bin_dir) = bin_dir_with("pg_basebackup") else { return skip("no server here has pg_basebackup") };
    run(async {
        let mut primary = start_with(bin_dir.clone(), &PRIMARY);
        let mut standby = start_with(bin_dir, &PRIMARY);
        follow(&mut standby, &primary);
        let (first, second) = (primary.url("postgres"), standby.url("postgres"));
        // What a client was told is committed is on both.
        let both = "ALTER SYSTEM SET synchronous_standby_names = '*'";
        let client = crate::server::connect(&first).await;
        client.batch_execute(both).await.expect("it is set");
        client.batch_execute("SELECT pg_reload_conf()").await.expect("it is read");
        drop(client);
        until(&first, "SELECT count(*) = 1 FROM pg_stat_replication WHERE sync_state = 'sync'").await;

        let hosts = format!("{},{}", primary.socket_dir().display(), standby.socket_dir().display());
        let ports = format!("{},{}", primary.port(), standby.port());
        let url = format!("host={hosts} port={ports} user=postgres dbname=postgres target_session_attrs=read-write");
        let target = Target::from_url(&url).expect("it names both");
        let mut promoted = false;
        survive(&url, target, async || {
            if !promoted {
                primary.crash().expect("it ends");
                tokio::time::sleep(Duration::from_millis(300)).await;
                // Nobody follows the one that leads now.
                let client = crate::server::connect(&second).await;
                let promote =
                    "SELECT pg_promote(); ALTER SYSTEM SET synchronous_standby_names = ''; SELECT pg_reload_conf()";
                for statement in promote.split(';') {
                    client.batch_execute(statement).await.expect("it leads");
                }
                promoted = true;
            }
        })
        .await;
        assert_eq!(number(&second, "SELECT pg_is_in_recovery()::int::bigint").await, 0, "it ran on the standby");
        assert!(promoted);
    });
}
