//! A full disk in the middle of a fill: it stops with the server's word, nothing is lost, and it goes on once there is room.

use std::path::Path;
use std::process::Command as Program;
use std::process::Stdio;

use crossfade::Target;
use crossfade_core::journal::State;
use nix::unistd::chown;

use super::number;
use super::own_server;
use super::skip;
use crate::project::Command;
use crate::project::Project;
use crate::server::run;

/// What the disk holds, and how much of it is left in the middle of the story.
const SIZE: &str = "size=64m";
const LEFT: u64 = 2 * 1024 * 1024;

/// A small disk, taken away at the end.
struct Disk {
    folder: tempfile::TempDir,
}

impl Disk {
    /// None where this process may not mount.
    fn mount() -> Option<Disk> {
        let folder = tempfile::tempdir().expect("a folder is made");
        let mut mount = Program::new("mount");
        mount.args(["-t", "tmpfs", "-o", SIZE, "crossfade-proof"]).arg(folder.path());
        let mounted = mount.stdout(Stdio::null()).stderr(Stdio::null()).status().is_ok_and(|status| status.success());
        mounted.then_some(Disk { folder })
    }

    fn path(&self) -> &Path {
        self.folder.path()
    }

    fn free(&self) -> u64 {
        let found = nix::sys::statvfs::statvfs(self.path()).expect("it can be looked at");
        found.blocks_available() * found.fragment_size()
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        // What can't be taken away now goes once nobody uses it.
        let _ = Program::new("umount").arg("-l").arg(self.folder.path()).status();
    }
}

#[test]
fn a_full_disk_stops_it_and_it_goes_on_once_there_is_room() {
    let Some(disk) = Disk::mount() else { return skip("a small disk can't be mounted here") };
    run(async {
        let server = own_server(&[]);
        let url = server.url("postgres");
        // The folder of a tablespace belongs to whoever runs the server.
        let space = disk.path().join("space");
        std::fs::create_dir(&space).expect("a folder is made");
        let owner = std::os::unix::fs::MetadataExt::uid(&std::fs::metadata(server.socket_dir()).expect("it is there"));
        chown(&space, Some(owner.into()), None).expect("it is given away");
        let enter = std::os::unix::fs::PermissionsExt::from_mode(0o755);
        std::fs::set_permissions(disk.path(), enter).expect("anyone may enter");
        let client = crate::server::connect(&url).await;
        for statement in [
            &*format!("CREATE TABLESPACE small LOCATION '{}'", space.display()),
            "CREATE TABLE t (id integer PRIMARY KEY, v text, pad text) TABLESPACE small",
            "INSERT INTO t SELECT g, 'v' || g, repeat('p', 300) FROM generate_series(1, 20000) AS g",
            "ANALYZE t",
        ] {
            client.batch_execute(statement).await.unwrap_or_else(|error| panic!("{}", crate::text_of(&error)));
        }
        // An old snapshot keeps every row version, so the table grows by each row that is filled.
        client.batch_execute("BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT 1").await.expect("it has a snapshot");
        let project = Project::on(
            Target::from_url(&url).expect("the URL is one"),
            &[("001_case.sql", "ALTER TABLE t RENAME COLUMN v TO w;")],
            |_| {},
        );
        let filler = disk.path().join("filler");
        let rest = usize::try_from(disk.free().saturating_sub(LEFT)).expect("the disk is small");
        std::fs::write(&filler, vec![0; rest]).expect("the disk is filled");

        let died = Command::Migrate.on(&project.migrator).await.expect_err("there is no room");
        assert!(died.contains("No space left on device"), "{died}");
        assert_eq!(project.state().await, State::Failed);
        let done = number(&url, "SELECT count(w) FROM t").await;
        assert!(done > 0 && done < 20_000, "{done} rows were filled");
        assert_eq!(number(&url, "SELECT count(*) FROM t WHERE v <> 'v' || id").await, 0);
        let again = Command::Migrate.on(&project.migrator).await.expect_err("there still is no room");
        assert!(again.contains("No space left on device"), "{again}");

        std::fs::remove_file(&filler).expect("there is room");
        assert_eq!(Command::Migrate.on(&project.migrator).await, Ok(Some(State::Ready)));
        assert_eq!(
            number(&url, "SELECT count(*) FROM t WHERE v IS DISTINCT FROM w OR w IS DISTINCT FROM 'v' || id").await,
            0
        );
        client.batch_execute("COMMIT").await.expect("it ends");
        assert_eq!(Command::Contract.on(&project.migrator).await, Ok(Some(State::Contracted)));
        drop(client);
        server.stop().expect("it ends before its disk goes");
    });
}
