//! What stands between us and a server, and can fail: it cuts connections, or swallows the answer to a COMMIT.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering;

use crossfade::scratch::ScratchServer;
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
    /// Grows with each cut.
    cuts: watch::Sender<u32>,
    losses: Mutex<Losses>,
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
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.expect("a port is free");
        let port = listener.local_addr().expect("it listens").port();
        let socket = server.socket_dir().join(format!(".s.PGSQL.{}", server.port()));
        let shared = Arc::new(Shared { server: socket, cuts: watch::channel(0).0, losses: Mutex::default() });
        let passing = shared.clone();
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                tokio::spawn(pass(client, passing.clone()));
            }
        });
        Proxy { port, shared }
    }

    pub fn url(&self) -> String {
        format!("postgres://postgres@127.0.0.1:{}/postgres?sslmode=disable", self.port)
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

/// Passes everything on, until one side ends or the connection is cut.
async fn pass(client: TcpStream, shared: Arc<Shared>) {
    let mut cuts = shared.cuts.subscribe();
    let Ok(server) = UnixStream::connect(&shared.server).await else { return };
    let (from_client, to_client) = client.into_split();
    let (from_server, to_server) = server.into_split();
    let losing = AtomicBool::new(false);
    let up = copy(from_client, to_server, |bytes| {
        let commits = bytes.windows(COMMIT.len()).any(|window| window == COMMIT);
        if commits && shared.losses.lock().expect("nobody panics here").is_next() {
            losing.store(true, Ordering::SeqCst);
        }
        true
    });
    // The server's answer shows that it is done; nobody else gets to know.
    let down = copy(from_server, to_client, |_| !losing.load(Ordering::SeqCst));
    tokio::select! {
        () = up => {}
        () = down => {}
        _ = cuts.changed() => {}
    }
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
