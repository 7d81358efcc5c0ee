//! What stands between us and a server, and can fail: it cuts connections, or swallows the answer to a COMMIT; and at a statement that is named, it cuts, is
//! slow, swallows the answer, ends the server's processes, or holds the client until somebody has ended it.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::AtomicU32;
use std::sync::atomic::Ordering;
use std::time::Duration;

use crossfade::scratch::ScratchServer;
use nix::sys::signal::Signal;
use nix::sys::signal::kill;
use nix::unistd::Pid;
use tokio::io::AsyncRead;
use tokio::io::AsyncReadExt as _;
use tokio::io::AsyncWrite;
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpListener;
use tokio::net::TcpStream;
use tokio::net::UnixStream;
use tokio::sync::watch;

/// A COMMIT as a client sends it: its text, with the zero behind it.
const COMMIT: &[u8] = b"COMMIT\0";

/// Listens on a port, and passes on what comes to the server's socket.
pub struct Proxy {
    port: u16,
    shared: Arc<Shared>,
}

struct Shared {
    server: PathBuf,
    /// The one whose processes are ended.
    database: String,
    /// Grows with each cut.
    cuts: watch::Sender<u32>,
    losses: Mutex<Losses>,
    /// Where something goes wrong next, once, and how many such statements pass before.
    point: Mutex<Option<(Point, u32)>>,
    struck: AtomicU32,
    /// Grows with each client that is held.
    held: watch::Sender<u32>,
}

/// A statement at which something goes wrong.
#[derive(Clone, Copy, Debug)]
pub struct Point {
    /// One of these stands in its text.
    pub texts: &'static [&'static str],
    /// What goes wrong.
    pub fault: Fault,
}

/// What goes wrong at a statement.
#[derive(Clone, Copy, Debug)]
pub enum Fault {
    /// The connection is cut, and the server never sees it.
    Cut,
    /// The server does it, and its answer is swallowed with the connection.
    LoseAnswer,
    /// It comes late.
    Delay(Duration),
    /// All of our processes on the server end as soon as it is there.
    Kill,
    /// They die of SIGKILL, and with them all others: the server recovers from the crash.
    KillHard,
    /// The server never sees it, and the client waits until it is dead.
    HoldBefore,
    /// The server does it, and the client waits for the answer until it is dead.
    HoldAfter,
}

/// Which answers are swallowed.
#[derive(Clone, Copy, Debug, Default)]
struct Losses {
    /// One of so many.
    every: u32,
    /// How many more.
    left: u32,
    seen: u32,
    lost: u32,
}

impl Losses {
    fn is_next(&mut self) -> bool {
        self.seen += 1;
        let lost = self.left > 0 && self.seen.is_multiple_of(self.every);
        if lost {
            self.left -= 1;
            self.lost += 1;
        }
        lost
    }
}

impl Proxy {
    pub async fn start(server: &ScratchServer) -> Proxy {
        Proxy::to(server, "postgres").await
    }

    /// In front of one database of a server.
    pub async fn to(server: &ScratchServer, database: &str) -> Proxy {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.expect("a port is free");
        let port = listener.local_addr().expect("it listens").port();
        let socket = server.socket_dir().join(format!(".s.PGSQL.{}", server.port()));
        let shared = Arc::new(Shared {
            server: socket,
            database: database.to_owned(),
            cuts: watch::channel(0).0,
            losses: Mutex::default(),
            point: Mutex::default(),
            struck: AtomicU32::new(0),
            held: watch::channel(0).0,
        });
        let passing = shared.clone();
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                tokio::spawn(pass(client, passing.clone()));
            }
        });
        Proxy { port, shared }
    }

    pub fn url(&self) -> String {
        format!("postgres://postgres@127.0.0.1:{}/{}?sslmode=disable", self.port, self.shared.database)
    }

    /// At the next such statement, and once.
    pub fn strike_at(&self, point: Point) {
        self.strike_after(0, point);
    }

    /// After so many such statements have passed, at the next one, and once.
    pub fn strike_after(&self, passing: u32, point: Point) {
        *self.shared.point.lock().expect("nobody panics here") = Some((point, passing));
    }

    /// From now on nothing goes wrong at a statement.
    pub fn spare(&self) {
        *self.shared.point.lock().expect("nobody panics here") = None;
    }

    /// Grows with each client that is held.
    pub fn held(&self) -> watch::Receiver<u32> {
        self.shared.held.subscribe()
    }

    /// How often something went wrong at a statement.
    pub fn struck(&self) -> u32 {
        self.shared.struck.load(Ordering::SeqCst)
    }

    /// Cuts every connection that there is.
    pub fn cut(&self) {
        self.shared.cuts.send_modify(|cuts| *cuts += 1);
    }

    /// From now on, swallows the answer to every such COMMIT, so many times, and cuts its connection.
    pub fn lose_every(&self, every: u32, times: u32) {
        *self.shared.losses.lock().expect("nobody panics here") = Losses { every, left: times, ..Losses::default() };
    }

    pub fn lost(&self) -> u32 {
        self.shared.losses.lock().expect("nobody panics here").lost
    }
}

fn holds(bytes: &[u8], text: &[u8]) -> bool {
    bytes.windows(text.len()).any(|window| window == text)
}

impl Shared {
    /// What goes wrong at this, if it is the point.
    fn strikes(&self, bytes: &[u8]) -> Option<Fault> {
        let mut next = self.point.lock().expect("nobody panics here");
        let is_it = |point: &Point| point.texts.iter().any(|text| holds(bytes, text.as_bytes()));
        let (point, passing) = next.as_mut().filter(|(point, _)| is_it(point))?;
        if *passing > 0 {
            *passing -= 1;
            return None;
        }
        let struck = *point;
        *next = None;
        self.struck.fetch_add(1, Ordering::SeqCst);
        Some(struck.fault)
    }

    /// Tells that a client is held.
    fn hold(&self) {
        self.held.send_modify(|held| *held += 1);
    }

    /// Ends the server's processes that serve us by way of a proxy.
    async fn kill_ours(&self) {
        self.ours("pg_terminate_backend(pid)::int").await;
    }

    /// Ends them by a signal that they can't handle.
    async fn kill_ours_hard(&self) {
        for pid in self.ours("pid").await {
            // The server ends the others itself once it sees that one is gone.
            let _ = kill(Pid::from_raw(pid), Signal::SIGKILL);
        }
    }

    /// A number for each of them.
    async fn ours(&self, number: &str) -> Vec<i32> {
        let folder = self.server.parent().expect("a socket is in a folder").to_string_lossy().into_owned();
        let mut config = tokio_postgres::Config::new();
        let client = config.host(&folder).user("postgres").dbname("postgres").connect(tokio_postgres::NoTls).await;
        let (client, connection) = client.expect("the server answers");
        tokio::spawn(connection);
        let query =
            format!("SELECT {number} FROM pg_stat_activity WHERE application_name LIKE 'crossfade%' AND datname = $1");
        let rows = client.query(&query, &[&self.database]).await.expect("they can be found");
        rows.iter().map(|row| row.get(0)).collect()
    }
}

/// Passes everything on, until one side ends or the connection is cut.
async fn pass(client: TcpStream, shared: Arc<Shared>) {
    let mut cuts = shared.cuts.subscribe();
    let Ok(server) = UnixStream::connect(&shared.server).await else { return };
    let (from_client, mut to_client) = client.into_split();
    let (from_server, to_server) = server.into_split();
    let (losing, holding) = (AtomicBool::new(false), AtomicBool::new(false));
    let up = async {
        let (mut from, mut to) = (from_client, to_server);
        let mut buffer = vec![0; 16 * 1024];
        while let Ok(count @ 1..) = from.read(&mut buffer).await {
            let bytes = &buffer[..count];
            if holds(bytes, COMMIT) && shared.losses.lock().expect("nobody panics here").is_next() {
                losing.store(true, Ordering::SeqCst);
            }
            let fault = shared.strikes(bytes);
            match fault {
                Some(Fault::Cut) => return,
                Some(Fault::LoseAnswer) => losing.store(true, Ordering::SeqCst),
                Some(Fault::Delay(time)) => tokio::time::sleep(time).await,
                Some(Fault::HoldAfter) => holding.store(true, Ordering::SeqCst),
                Some(Fault::HoldBefore) => {
                    shared.hold();
                    return until_closed(from).await;
                }
                Some(Fault::Kill | Fault::KillHard) | None => {}
            }
            if to.write_all(bytes).await.is_err() {
                return;
            }
            match fault {
                Some(Fault::Kill) => shared.kill_ours().await,
                Some(Fault::KillHard) => shared.kill_ours_hard().await,
                Some(Fault::Cut | Fault::LoseAnswer | Fault::Delay(_) | Fault::HoldBefore | Fault::HoldAfter)
                | None => {}
            }
        }
    };
    // The server's answer shows that it is done; nobody else gets to know.
    let passes = |_: &[u8]| !losing.load(Ordering::SeqCst) && !holding.load(Ordering::SeqCst);
    let down = async {
        copy(from_server, &mut to_client, passes).await;
        if holding.load(Ordering::SeqCst) {
            shared.hold();
            // It ends with its client.
            std::future::pending::<()>().await;
        }
    };
    tokio::select! {
        () = up => {}
        () = down => {}
        _ = cuts.changed() => {}
    }
}

/// Reads what comes, and passes nothing on, until nothing more can come.
async fn until_closed(mut from: impl AsyncRead + Unpin) {
    let mut buffer = [0; 1024];
    while let Ok(1..) = from.read(&mut buffer).await {}
}

/// Copies until the end, or until something is not to be passed on.
async fn copy(
    mut from: impl AsyncRead + Unpin,
    mut to: impl AsyncWrite + Unpin,
    mut passes: impl FnMut(&[u8]) -> bool,
) {
    let mut buffer = vec![0; 16 * 1024];
    while let Ok(count @ 1..) = from.read(&mut buffer).await {
        if !passes(&buffer[..count]) || to.write_all(&buffer[..count]).await.is_err() {
            return;
        }
    }
}
