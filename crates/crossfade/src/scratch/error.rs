//! Why there is no scratch server, in words that say what to do about it. No Display repeats its source.

use std::io;
use std::path::PathBuf;

use super::SOCKET_NAME_BYTES;
use super::SOCKET_PATH_BYTES;
use super::START_LIMIT;

/// Why there is no scratch server.
#[derive(Debug, thiserror::Error)]
pub enum ScratchError {
    /// The folder that was given is not one of server binaries.
    #[error(
        "{} is not a folder of PostgreSQL server programs: it has no {program}; give the one that holds initdb, pg_ctl \
         and postgres (CROSSFADE_PG_BIN), often /usr/lib/postgresql/VERSION/bin", folder.display()
    )]
    NotBinaries {
        /// The folder that was given.
        folder: PathBuf,
        /// The first program that it lacks.
        program: &'static str,
    },

    /// No server is installed where servers usually are.
    #[error(
        "found no PostgreSQL server programs (initdb, pg_ctl and postgres), which a scratch server is made from; \
         pg_config and the usual folders have none. Install them:\n  \
         Debian, Ubuntu:  sudo apt-get install postgresql\n  \
         Fedora, RHEL:    sudo dnf install postgresql-server\n  \
         macOS:           brew install postgresql@17\n\
         or set CROSSFADE_PG_BIN to the folder that has them"
    )]
    NoBinaries,

    /// We are root, and there is nobody else to be.
    #[error(
        "PostgreSQL refuses to run as root, and this system has neither a user postgres nor a user nobody to run it as; \
         create one (useradd --system postgres), or run crossfade as an ordinary user"
    )]
    NoAccount,

    /// The user database could not be read.
    #[error("could not look up user {name}, who is to run the scratch server because PostgreSQL refuses root")]
    Account {
        /// The user that was looked for.
        name: &'static str,
        /// What the system said.
        source: nix::Error,
    },

    /// No temporary folder will do.
    #[error(
        "none of the temporary folders {tried} will do for a scratch server: the path must be at most {} bytes, since a \
         socket goes there, and the user who runs the server must be able to enter it; set TMPDIR to a folder such as /tmp",
        SOCKET_PATH_BYTES - SOCKET_NAME_BYTES
    )]
    NoFolder {
        /// The folders that were considered.
        tried: String,
    },

    /// The server's folder, or a file in it, could not be written or read.
    #[error("could not {what} {} for a scratch server; is the disk full or write-protected?", path.display())]
    Folder {
        /// What was tried, as a verb.
        what: &'static str,
        /// Where.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },

    /// No port is free for a server that listens on more than its socket.
    #[error("could not take a free port of 127.0.0.1 for a scratch server; give one with the setting port")]
    NoPort {
        /// What the system said.
        source: io::Error,
    },

    /// The setting `port` is no port.
    #[error("the setting port of a scratch server must be a number from 1 to 65535, not {given:?}")]
    BadPort {
        /// What was given.
        given: String,
    },

    /// The process that clears away afterwards did not start.
    #[error("could not start sh, which clears a scratch server away afterwards; is there a /bin/sh?")]
    Keeper {
        /// What the system said.
        source: io::Error,
    },

    /// A program did not even start.
    #[error("could not run {} as {account}; that user must be able to enter its folder and to run it", program.display())]
    Spawn {
        /// The program.
        program: PathBuf,
        /// Who was to run it.
        account: String,
        /// What the system said.
        source: io::Error,
    },

    /// `initdb` failed.
    #[error("{} could not make a scratch server's data folder; it said:\n{said}", program.display())]
    Initdb {
        /// The program.
        program: PathBuf,
        /// The end of its output.
        said: String,
    },

    /// The server ended before it accepted connections.
    #[error("the scratch server ended before it was ready; the end of its log:\n{log}")]
    Exited {
        /// The end of the server's log.
        log: String,
    },

    /// The server took too long.
    #[error("the scratch server was not ready after {} s, and was stopped; the end of its log:\n{log}", START_LIMIT.as_secs())]
    NotReady {
        /// The end of the server's log.
        log: String,
    },

    /// The system can't tell us about our own child process.
    #[error("could not see whether the scratch server still runs; it was stopped")]
    Lost {
        /// What the system said.
        source: io::Error,
    },

    /// Something of the server may still be there.
    #[error("could not clear the scratch server away; end what still runs in {} and remove that folder", folder.display())]
    Stop {
        /// The server's folder.
        folder: PathBuf,
        /// What the system said.
        source: io::Error,
    },
}
