//! Failover: the primary is gone, its standby is promoted, and the same command goes on there from the same cursor.

use std::time::Duration;

use crossfade::Target;

use super::bin_dir_with;
use super::number;
use super::skip;
use super::survive;
use super::until;
use crate::server::run;
use crate::server::start_standby;
use crate::server::start_with;

const PRIMARY: [(&str, &str); 3] = [("wal_level", "replica"), ("max_wal_senders", "5"), ("synchronous_commit", "on")];

#[test]
fn after_a_failover_it_goes_on_from_the_cursor() {
    let Some(bin_dir) = bin_dir_with("pg_basebackup") else { return skip("no server here has pg_basebackup") };
    run(async {
        let mut primary = start_with(bin_dir, &PRIMARY);
        let standby = start_standby(&primary, "standby", &PRIMARY);
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
