//! TLS as libpq's `sslmode` means it, on rustls.

use std::path::Path;
use std::path::PathBuf;
use std::sync::Arc;

use rustls::CertificateError;
use rustls::ClientConfig;
use rustls::DigitallySignedStruct;
use rustls::RootCertStore;
use rustls::SignatureScheme;
use rustls::client::danger::HandshakeSignatureValid;
use rustls::client::danger::ServerCertVerified;
use rustls::client::danger::ServerCertVerifier;
use rustls::client::verify_server_cert_signed_by_trust_anchor;
use rustls::client::verify_server_name;
use rustls::crypto::CryptoProvider;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::PrivateKeyDer;
use rustls::pki_types::ServerName;
use rustls::pki_types::UnixTime;
use rustls::pki_types::pem::PemObject as _;
use rustls::server::ParsedCertificate;
use tokio_postgres_rustls::MakeRustlsConnect;

use crate::error::Error;
use crate::error::Result;

/// How a connection is protected.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum SslMode {
    /// Never.
    Disable,
    /// Only where the server insists.
    Allow,
    /// Where the server can; its certificate is not looked at.
    Prefer,
    /// Always; its certificate is not looked at.
    Require,
    /// Always, and an authority that we trust has signed the certificate.
    VerifyCa,
    /// Always, and the certificate is for this host, too.
    VerifyFull,
}

impl SslMode {
    /// libpq's word for it.
    pub(super) fn parse(text: &str) -> Option<SslMode> {
        Some(match text {
            "disable" => SslMode::Disable,
            "allow" => SslMode::Allow,
            "prefer" => SslMode::Prefer,
            "require" => SslMode::Require,
            "verify-ca" => SslMode::VerifyCa,
            "verify-full" => SslMode::VerifyFull,
            _ => return None,
        })
    }
}

/// Whose signature counts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Roots {
    /// The authorities that this machine trusts.
    System,
    /// Those of a file.
    File(PathBuf),
}

/// Everything about TLS.
#[derive(Clone)]
pub(super) struct Tls {
    pub(super) mode: SslMode,
    pub(super) roots: Roots,
    /// Our own certificate and its key.
    pub(super) identity: Option<(PathBuf, PathBuf)>,
}

impl Tls {
    /// Reads the certificates that are needed.
    pub(super) fn connector(&self) -> Result<MakeRustlsConnect> {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let roots = if self.mode >= SslMode::VerifyCa { read_roots(&self.roots)? } else { Vec::new() };
        let verifier = Verifier::new(self.mode, roots, provider.clone())?;
        let builder = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(|error| Error::failed("could not set up TLS").caused_by(error))?
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(verifier));
        let config = match &self.identity {
            None => builder.with_no_client_auth(),
            Some((certificate, key)) => builder
                .with_client_auth_cert(read_certificates(certificate)?, read_key(key)?)
                .map_err(|error| Error::usage("sslcert and sslkey can't be used").caused_by(error))?,
        };
        Ok(MakeRustlsConnect::new(config))
    }
}

fn read_roots(roots: &Roots) -> Result<Vec<CertificateDer<'static>>> {
    match roots {
        Roots::File(path) => read_certificates(path),
        Roots::System => {
            let found = rustls_native_certs::load_native_certs();
            match found.errors.into_iter().next() {
                Some(error) if found.certs.is_empty() => {
                    Err(Error::usage("this machine's certificates can't be read").caused_by(error))
                }
                Some(_) | None => Ok(found.certs),
            }
        }
    }
}

fn read_certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>> {
    let wrong = || format!("could not read the certificates in {}", path.display());
    let certificates: Result<Vec<_>, _> =
        CertificateDer::pem_file_iter(path).map_err(|error| Error::usage(wrong()).caused_by(error))?.collect();
    let certificates = certificates.map_err(|error| Error::usage(wrong()).caused_by(error))?;
    if certificates.is_empty() {
        return Err(Error::usage(format!("there is no certificate in {}", path.display())));
    }
    Ok(certificates)
}

fn read_key(path: &Path) -> Result<PrivateKeyDer<'static>> {
    PrivateKeyDer::from_pem_file(path)
        .map_err(|error| Error::usage(format!("could not read the key in {}", path.display())).caused_by(error))
}

#[derive(Debug)]
struct Verifier {
    mode: SslMode,
    trusted: Vec<CertificateDer<'static>>,
    roots: RootCertStore,
    provider: Arc<CryptoProvider>,
}

impl Verifier {
    fn new(mode: SslMode, trusted: Vec<CertificateDer<'static>>, provider: Arc<CryptoProvider>) -> Result<Verifier> {
        let mut roots = RootCertStore::empty();
        roots.add_parsable_certificates(trusted.iter().cloned());
        if mode >= SslMode::VerifyCa && roots.is_empty() {
            return Err(Error::usage("no certificate authority is trusted, so no server can be verified")
                .hint("name a file with sslrootcert, or PGSSLROOTCERT"));
        }
        Ok(Verifier { mode, trusted, roots, provider })
    }
}

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        if self.mode < SslMode::VerifyCa {
            return Ok(ServerCertVerified::assertion());
        }
        let certificate = ParsedCertificate::try_from(end_entity)?;
        let algorithms = self.provider.signature_verification_algorithms.all;
        match verify_server_cert_signed_by_trust_anchor(&certificate, &self.roots, intermediates, now, algorithms) {
            Ok(()) => {}
            // A self-signed certificate that stands in sslrootcert itself says that it is an authority: the usual way to make one.
            Err(rustls::Error::InvalidCertificate(CertificateError::Other(_))) if self.trusted.contains(end_entity) => {
            }
            Err(error) => return Err(error),
        }
        if self.mode == SslMode::VerifyFull {
            verify_server_name(&certificate, server_name)?;
        }
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        rustls::crypto::verify_tls12_signature(message, certificate, signed, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        rustls::crypto::verify_tls13_signature(message, certificate, signed, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}
