//! Encrypted connections to PostgreSQL, by libpq's words: `sslmode` and `sslrootcert`.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{CertificateError, ClientConfig, DigitallySignedStruct, Error, RootCertStore, SignatureScheme};
use tokio_postgres::config::SslMode as Wish;

/// Where the certificates of a Debian, Ubuntu or Alpine machine lie in one file, for libpq, which before version 16 has
/// no word for "those of the system".
const SYSTEM_BUNDLE: &str = "/etc/ssl/certs/ca-certificates.crt";

/// How far a connection is encrypted, and how far the server must prove who it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum SslMode {
    /// Not at all.
    Disable,
    /// Where the server offers it; nothing is checked. The default, as libpq's.
    #[default]
    Prefer,
    /// Always. The certificate is checked only where `sslrootcert` names one that it must come from, as libpq does.
    Require,
    /// Always, and its certificate comes from a trusted one.
    VerifyCa,
    /// Always, and its certificate comes from a trusted one and is for the host of the address.
    VerifyFull,
}

impl SslMode {
    /// All words.
    pub(crate) const WORDS: [&str; 5] = ["disable", "prefer", "require", "verify-ca", "verify-full"];

    /// By its word in a URL.
    pub(crate) fn named(word: &str) -> Option<Self> {
        Some(match word {
            "disable" => Self::Disable,
            "prefer" => Self::Prefer,
            "require" => Self::Require,
            "verify-ca" => Self::VerifyCa,
            "verify-full" => Self::VerifyFull,
            _ => return None,
        })
    }

    /// Its word in a URL, and in `PGSSLMODE`.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Disable => "disable",
            Self::Prefer => "prefer",
            Self::Require => "require",
            Self::VerifyCa => "verify-ca",
            Self::VerifyFull => "verify-full",
        }
    }
}

/// What a URL says of encryption.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Tls {
    pub(crate) mode: SslMode,
    /// `sslrootcert`: the file of certificates that are trusted; the system's where it is not given.
    pub(crate) roots: Option<PathBuf>,
}

impl Tls {
    /// What the driver does before a handshake.
    pub(crate) const fn wish(&self) -> Wish {
        match self.mode {
            SslMode::Disable => Wish::Disable,
            SslMode::Prefer => Wish::Prefer,
            SslMode::Require | SslMode::VerifyCa | SslMode::VerifyFull => Wish::Require,
        }
    }

    /// How far the certificate is checked.
    const fn checked(&self) -> SslMode {
        match (self.mode, &self.roots) {
            (SslMode::Require, Some(_)) => SslMode::VerifyCa,
            (mode, _) => mode,
        }
    }

    /// The same for a program that uses libpq, as environment variables.
    pub(crate) fn libpq(&self) -> Vec<(&'static str, PathBuf)> {
        let mut variables = vec![("PGSSLMODE", PathBuf::from(self.mode.word()))];
        match (&self.roots, self.mode) {
            (Some(roots), _) => variables.push(("PGSSLROOTCERT", roots.clone())),
            (None, SslMode::VerifyCa | SslMode::VerifyFull) => {
                variables.push(("PGSSLROOTCERT", PathBuf::from(SYSTEM_BUNDLE)));
            }
            (None, _) => {}
        }
        variables
    }

    /// What a handshake is made with, or why there is nothing to make it with.
    pub(crate) fn client(&self) -> Result<ClientConfig, String> {
        let provider = Arc::new(aws_lc_rs::default_provider());
        let verifier: Arc<dyn ServerCertVerifier> = match self.checked() {
            SslMode::Disable | SslMode::Prefer | SslMode::Require => Arc::new(Anybody(Arc::clone(&provider))),
            mode => {
                let roots = Arc::new(trusted(self.roots.as_deref())?);
                let strict = WebPkiServerVerifier::builder_with_provider(roots, Arc::clone(&provider))
                    .build()
                    .map_err(|error| error.to_string())?;
                if mode == SslMode::VerifyFull {
                    strict
                } else {
                    Arc::new(AnyName(strict))
                }
            }
        };
        let config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(|error| error.to_string())?
            .dangerous()
            .with_custom_certificate_verifier(verifier)
            .with_no_client_auth();
        Ok(config)
    }
}

fn trusted(file: Option<&Path>) -> Result<RootCertStore, String> {
    let mut store = RootCertStore::empty();
    if let Some(file) = file {
        let shown = file.display();
        let certificates =
            CertificateDer::pem_file_iter(file).map_err(|error| format!("{shown}: {error}"))?;
        for certificate in certificates {
            let certificate = certificate.map_err(|error| format!("{shown}: {error}"))?;
            store
                .add(certificate)
                .map_err(|error| format!("{shown}: {error}"))?;
        }
        if store.is_empty() {
            return Err(format!("{shown} holds no certificate"));
        }
        return Ok(store);
    }
    let found = rustls_native_certs::load_native_certs();
    store.add_parsable_certificates(found.certs);
    if store.is_empty() {
        return Err("this machine trusts no certificates; `sslrootcert=FILE` names one".to_owned());
    }
    Ok(store)
}

/// Encrypts with whoever answers: what `prefer` and `require` mean.
struct Anybody(Arc<CryptoProvider>);

impl fmt::Debug for Anybody {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Anybody")
    }
}

impl ServerCertVerifier for Anybody {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.0.signature_verification_algorithms;
        rustls::crypto::verify_tls12_signature(message, certificate, signed, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.0.signature_verification_algorithms;
        rustls::crypto::verify_tls13_signature(message, certificate, signed, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}

/// Checks where a certificate comes from and not whom it is for: what `verify-ca` means.
#[derive(Debug)]
struct AnyName(Arc<WebPkiServerVerifier>);

impl ServerCertVerifier for AnyName {
    fn verify_server_cert(
        &self,
        certificate: &CertificateDer<'_>,
        between: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        ocsp: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        match self.0.verify_server_cert(certificate, between, name, ocsp, now) {
            // The name is looked at last, when everything else was right.
            Err(Error::InvalidCertificate(
                CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. },
            )) => Ok(ServerCertVerified::assertion()),
            other => other,
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.0.verify_tls12_signature(message, certificate, signed)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.0.verify_tls13_signature(message, certificate, signed)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.supported_verify_schemes()
    }
}
