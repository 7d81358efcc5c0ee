//! From settings, which are text, to what they mean.

use std::net::IpAddr;
use std::path::Path;
use std::path::PathBuf;
use std::time::Duration;

use tokio_postgres::config::ChannelBinding;
use tokio_postgres::config::TargetSessionAttrs;

use super::settings::Settings;
use super::tls::Roots;
use super::tls::SslMode;
use super::tls::Tls;
use crate::error::Result;

/// Where a server's socket is usually found.
pub(super) const SOCKET_FOLDERS: [&str; 2] = ["/var/run/postgresql", "/tmp"];
const DEFAULT_PORT: u16 = 5432;
const DEFAULT_CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// One place where the server may be.
#[derive(Clone)]
pub(super) struct Host {
    pub(super) name: String,
    pub(super) address: Option<IpAddr>,
    pub(super) port: u16,
}

impl Host {
    pub(super) fn is_socket(&self) -> bool {
        self.address.is_none() && (self.name.starts_with('/') || self.name.starts_with('@'))
    }
}

pub(super) fn read_hosts(settings: &Settings) -> Result<Vec<Host>> {
    let addresses = settings.list("hostaddr");
    let names = settings.list("host");
    let ports = settings.list("port");
    let count = names.len().max(addresses.len()).max(1);
    if !names.is_empty() && !addresses.is_empty() && names.len() != addresses.len() {
        return Err(settings.wrong("hostaddr", "there must be as many as hosts"));
    }
    if ports.len() > 1 && ports.len() != count {
        return Err(settings.wrong("port", "there must be one, or as many as hosts"));
    }
    (0..count)
        .map(|at| {
            let port = match ports.get(at).or(ports.first()).filter(|port| !port.is_empty()) {
                None => DEFAULT_PORT,
                Some(port) => port
                    .parse()
                    .ok()
                    .filter(|port| *port > 0)
                    .ok_or_else(|| settings.wrong("port", "that is no port"))?,
            };
            let address: Option<IpAddr> = match addresses.get(at).filter(|address| !address.is_empty()) {
                None => None,
                Some(address) => {
                    Some(address.parse().map_err(|_| settings.wrong("hostaddr", "that is no IP address"))?)
                }
            };
            let name = match (names.get(at).filter(|name| !name.is_empty()), address) {
                (Some(name), _) => (*name).to_owned(),
                (None, Some(address)) => address.to_string(),
                (None, None) => default_host(port),
            };
            Ok(Host { name, address, port })
        })
        .collect()
}

/// A socket that is there, else this machine by TCP.
fn default_host(port: u16) -> String {
    let is_there = |folder: &&str| Path::new(folder).join(format!(".s.PGSQL.{port}")).exists();
    SOCKET_FOLDERS.into_iter().find(is_there).unwrap_or("localhost").to_owned()
}

/// None waits for ever, as 0 means in libpq.
pub(super) fn read_timeout(settings: &Settings) -> Result<Option<Duration>> {
    let Some(text) = settings.get("connect_timeout") else { return Ok(Some(DEFAULT_CONNECT_TIMEOUT)) };
    let seconds: i64 =
        text.trim().parse().map_err(|_| settings.wrong("connect_timeout", "that is no number of seconds"))?;
    Ok(u64::try_from(seconds).ok().filter(|seconds| *seconds > 0).map(Duration::from_secs))
}

pub(super) fn read_session(settings: &Settings) -> Result<TargetSessionAttrs> {
    match settings.get("target_session_attrs") {
        None | Some("any") => Ok(TargetSessionAttrs::Any),
        Some("read-write" | "primary") => Ok(TargetSessionAttrs::ReadWrite),
        Some(_) => Err(settings.wrong("target_session_attrs", "a migration needs any, read-write or primary")),
    }
}

pub(super) fn read_channel_binding(settings: &Settings) -> Result<ChannelBinding> {
    match settings.get("channel_binding") {
        None | Some("prefer") => Ok(ChannelBinding::Prefer),
        Some("disable") => Ok(ChannelBinding::Disable),
        Some("require") => Ok(ChannelBinding::Require),
        Some(_) => Err(settings.wrong("channel_binding", "it must be disable, prefer or require")),
    }
}

pub(super) fn read_tls(settings: &Settings, home: Option<&Path>) -> Result<Tls> {
    let named = settings.get("sslrootcert");
    let words = "it must be disable, allow, prefer, require, verify-ca or verify-full";
    let mode = match settings.get("sslmode") {
        Some(text) => SslMode::parse(text).ok_or_else(|| settings.wrong("sslmode", words))?,
        None if named == Some("system") => SslMode::VerifyFull,
        None => SslMode::Prefer,
    };
    let (mode, roots) = match named {
        Some("system") if mode != SslMode::VerifyFull => {
            return Err(settings.wrong("sslmode", "with sslrootcert=system it must be verify-full"));
        }
        Some("system") => (mode, Roots::System),
        // As in libpq: whoever names an authority and requires TLS wants it to be asked.
        Some(path) if mode == SslMode::Require => (SslMode::VerifyCa, Roots::File(PathBuf::from(path))),
        Some(path) => (mode, Roots::File(PathBuf::from(path))),
        None => match home.map(|home| home.join(".postgresql/root.crt")).filter(|path| path.exists()) {
            Some(path) => (mode, Roots::File(path)),
            None => (mode, Roots::System),
        },
    };
    let identity = match (settings.get("sslcert"), settings.get("sslkey")) {
        (Some(certificate), Some(key)) => Some((PathBuf::from(certificate), PathBuf::from(key))),
        (None, None) => None,
        (Some(_), None) => return Err(settings.wrong("sslcert", "it needs a sslkey")),
        (None, Some(_)) => return Err(settings.wrong("sslkey", "it needs a sslcert")),
    };
    Ok(Tls { mode, roots, identity })
}
