//! A full disk in the middle of a fill, one that has the table alone and one that has the whole server: it stops with the server's word, nothing is lost, and it goes on
//! once there is room.

use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::path::PathBuf;
use std::process::Command as Program;
use std::process::Stdio;

use crossfade::ErrorKind;
use crossfade::MigrateOptions;
use crossfade::Stop;
use crossfade::Target;
use crossfade::observer::Notice;
use crossfade::observer::Observer;
use crossfade::scratch::ScratchServer;
use crossfade_core::journal::State;
use nix::unistd::chown;

use super::ROWS;
use super::make_table;
use super::number;
use super::own_server;
use super::project;
use super::reach;
use super::skip;
use crate::project::Command;
use crate::project::Project;
use crate::project::said;
use crate::server::run;

const NO_MOUNT: &str = "a small disk can't be mounted here";

const NO_SPACE: &str = "No space left on device";

/// Whether the server says that its disk is full. A page may have found room for its first half.
fn has_no_room(said: &str) -> bool {
    said.contains(NO_SPACE) || said.contains("Check free disk space")
}

/// What the disk of a tablespace holds, and how much of it is left in the middle of the story.
const SIZE: &str = "size=64m";
const LEFT: u64 = 2 * 1024 * 1024;

/// What the disk of a server holds, and how much is left: too little for the rows; enough for them, and too little for a segment of the WAL.
const SERVERS_SIZE: &str = "size=176m";
const LEFT_FOR_ROWS: u64 = 1024 * 1024;
const LEFT_FOR_WAL: u64 = 13 * 1024 * 1024;

/// A small disk, taken away at the end.
struct Disk {
    folder: PathBuf,
}

impl Disk {
    /// In the place of a folder, whose owner it has. None where this process may not mount.
    fn mount(folder: &Path, size: &str) -> Option<Disk> {
        let was = std::fs::metadata(folder).expect("it is there");
        let mut mount = Program::new("mount");
        mount.args(["-t", "tmpfs", "-o", size, "crossfade-proof"]).arg(folder);
        let mounted = mount.stdout(Stdio::null()).stderr(Stdio::null()).status().is_ok_and(|status| status.success());
        if !mounted {
            return None;
        }
        let disk = Disk { folder: folder.to_owned() };
        std::fs::set_permissions(folder, was.permissions()).expect("it can be set");
        chown(folder, Some(was.uid().into()), Some(was.gid().into())).expect("it is given away");
        Some(disk)
    }

    fn path(&self) -> &Path {
        &self.folder
    }

    /// Writes a file that leaves only so much.
    fn fill(&self, left: u64) {
        let rest = usize::try_from(self.free().saturating_sub(left)).expect("the disk is small");
        std::fs::write(self.filler(), vec![0; rest]).expect("the disk is filled");
    }

    fn make_room(&self) {
        std::fs::remove_file(self.filler()).expect("there is room");
    }

    fn filler(&self) -> PathBuf {
        self.folder.join("filler")
    }

    fn free(&self) -> u64 {
        let found = nix::sys::statvfs::statvfs(self.path()).expect("it can be looked at");
        found.blocks_available() * found.fragment_size()
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        // What can't be taken away now goes once nobody uses it.
        let _ = Program::new("umount").arg("-l").arg(&self.folder).status();
    }
}

#[test]
fn a_full_disk_stops_it_and_it_goes_on_once_there_is_room() {
    let folder = tempfile::tempdir().expect("a folder is made");
    let Some(disk) = Disk::mount(folder.path(), SIZE) else { return skip(NO_MOUNT) };
    run(async {
        let server = own_server(&[]);
        let url = server.url("postgres");
        // The folder of a tablespace belongs to whoever runs the server.
        let space = disk.path().join("space");
        std::fs::create_dir(&space).expect("a folder is made");
        let owner = std::fs::metadata(server.socket_dir()).expect("it is there").uid();
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
        disk.fill(LEFT);

        let died = Command::Migrate.on(&project.migrator).await.expect_err("there is no room");
        assert!(has_no_room(&died), "{died}");
        assert_eq!(project.state().await, State::Failed);
        let done = number(&url, "SELECT count(w) FROM t").await;
        assert!(done > 0 && done < 20_000, "{done} rows were filled");
        assert_eq!(number(&url, "SELECT count(*) FROM t WHERE v <> 'v' || id").await, 0);
        let again = Command::Migrate.on(&project.migrator).await.expect_err("there still is no room");
        assert!(has_no_room(&again), "{again}");

        disk.make_room();
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

/// Moves the folder of a server's data, its WAL with it, to a small disk.
fn move_to_a_disk(server: &mut ScratchServer) -> Option<Disk> {
    let (data, was) = (server.socket_dir().join("data"), server.socket_dir().join("data.was"));
    server.crash().expect("it ends");
    std::fs::rename(&data, &was).expect("it can be renamed");
    let found = std::fs::metadata(&was).expect("it is there");
    std::fs::create_dir(&data).expect("a folder is made");
    std::fs::set_permissions(&data, found.permissions()).expect("it can be set");
    chown(&data, Some(found.uid().into()), Some(found.gid().into())).expect("it is given away");
    let disk = Disk::mount(&data, SERVERS_SIZE)?;
    let copied = Program::new("cp").arg("-a").arg(was.join(".")).arg(&data).status();
    assert!(copied.is_ok_and(|status| status.success()), "it can be copied");
    std::fs::remove_dir_all(&was).expect("it can be removed");
    server.start_again().expect("it comes back");
    Some(disk)
}

/// A segment of the WAL is made when it is written to, and a COMMIT sees to that.
const FRESH_SEGMENT: &str = "SELECT pg_switch_wal(); SELECT pg_logical_emit_message(true, 'proof', 'x')";

/// Writes nearly all of a segment of the WAL, so that the next one must be made soon, and takes away those that were made ahead.
async fn use_up_the_wal(url: &str, disk: &Disk) {
    const SEGMENT: i64 = 16 * 1024 * 1024;
    const MESSAGE: i64 = 100_000;
    let client = reach(url).await;
    let used =
        number(url, &format!("SELECT (pg_wal_lsn_diff(pg_current_wal_insert_lsn(), '0/0') % {SEGMENT})::bigint")).await;
    let messages = (SEGMENT - used - 1_000_000) / MESSAGE;
    let write = format!(
        "SELECT count(pg_logical_emit_message(true, 'proof', repeat('x', {MESSAGE}))) FROM generate_series(1, {messages})"
    );
    client.batch_execute(&write).await.expect("the WAL is written");
    let ahead = "SELECT name FROM pg_ls_waldir() WHERE name ~ '^[0-9A-F]{24}$' AND name > pg_walfile_name(pg_current_wal_insert_lsn())";
    for row in client.query(ahead, &[]).await.expect("the WAL can be listed") {
        let name: String = row.get(0);
        std::fs::remove_file(disk.path().join("pg_wal").join(name)).expect("it can be removed");
    }
}

/// A person who waits no longer for a server that is gone, and sees to it that it does not come up once more, to die again.
struct Person<'a> {
    server: &'a mut ScratchServer,
    stop: Stop,
}

impl Observer for Person<'_> {
    fn notice(&mut self, notice: Notice) {
        if let Notice::Retrying { .. } = notice {
            self.server.crash().expect("it ends");
            self.stop.request();
        }
    }
}

/// What `migrate` says where it must fail.
async fn fails(project: &Project, server: &mut ScratchServer) -> String {
    let stop = Stop::default();
    let mut person = Person { server, stop: stop.clone() };
    let ended = project.migrator.migrate(MigrateOptions::default(), &mut person, &stop).await;
    let error = ended.expect_err("there is no room");
    // The program ends with 1.
    assert_eq!(error.kind(), ErrorKind::Failed, "{}", said(&error));
    said(&error)
}

#[test]
fn a_server_whose_whole_disk_is_full_refuses_then_dies_and_nothing_is_lost() {
    const FILLED: &str = "SELECT count(*) FROM accounts WHERE balance = 1000 * id + 1";
    const TOUCHED: &str =
        "SELECT count(*) FROM accounts WHERE balance NOT IN (1000 * id, 1000 * id + 1) OR v <> 'v' || id";
    run(async {
        let mut server = own_server(&[]);
        let Some(disk) = move_to_a_disk(&mut server) else { return skip(NO_MOUNT) };
        let url = server.url("postgres");
        make_table(&url).await;
        // The WAL has a fresh segment. An old snapshot keeps every row version, and the rows have no room.
        let client = reach(&url).await;
        client.batch_execute(FRESH_SEGMENT).await.expect("it is written");
        client.batch_execute("BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT 1").await.expect("it has a snapshot");
        disk.fill(LEFT_FOR_ROWS);
        let project = project(Target::from_url(&url).expect("the URL is one"));
        for _ in 0..2 {
            let refused = fails(&project, &mut server).await;
            assert!(has_no_room(&refused), "{refused}");
        }
        assert_eq!(number(&url, TOUCHED).await, 0);
        let first = number(&url, FILLED).await;
        assert!(first > 0 && first < ROWS, "{first} rows were filled");

        drop(client);

        // The rows have room, and the WAL's next segment has none: that takes the server down.
        disk.make_room();
        use_up_the_wal(&url, &disk).await;
        disk.fill(LEFT_FOR_WAL);
        // While one backend makes the segment, its unfinished file has all that is left, and a row of the other one may find no room before the server goes down.
        let mut died = fails(&project, &mut server).await;
        for _ in 0..5 {
            if has_no_room(&died) {
                died = fails(&project, &mut server).await;
            }
        }
        assert!(died.contains("the server does not come back") && died.contains("its log says why"), "{died}");
        let log = std::fs::read_to_string(server.socket_dir().join("log")).expect("it has a log");
        let why = log.lines().find(|line| line.contains("PANIC:")).unwrap_or_default();
        assert!(why.contains("pg_wal/") && why.contains(NO_SPACE), "{log}");

        // Somebody makes room and starts it again.
        disk.make_room();
        server.start_again().expect("it comes back");
        assert_eq!(number(&url, TOUCHED).await, 0);
        let second = number(&url, FILLED).await;
        assert!(second >= first, "{second} rows are filled, {first} were");
        assert_eq!(Command::Migrate.on(&project.migrator).await, Ok(Some(State::Ready)));
        assert_eq!(number(&url, FILLED).await, ROWS);
        for (column, id) in [("v", 1), ("w", 2)] {
            let write = format!("UPDATE accounts SET {column} = 'written' WHERE id = {id}");
            reach(&url).await.batch_execute(&write).await.expect("it can be written");
        }
        assert_eq!(Command::Rollback.on(&project.migrator).await, Ok(Some(State::RolledBack)));
        let lost =
            "SELECT count(*) FROM accounts WHERE v IS DISTINCT FROM CASE WHEN id < 3 THEN 'written' ELSE 'v' || id END";
        assert_eq!(number(&url, lost).await, 0);
        for (command, state) in [(Command::Migrate, State::Ready), (Command::Contract, State::Contracted)] {
            assert_eq!(command.on(&project.migrator).await, Ok(Some(state)));
        }
        assert_eq!(number(&url, &lost.replace("WHERE v", "WHERE w")).await, 0);
        // The disk goes first, and nobody is on it then.
        server.crash().expect("it ends");
        drop(disk);
        server.stop().expect("it ends");
    });
}
