//! Encrypted connections: to PostgreSQL by libpq's words, `sslmode` and `sslrootcert`; to MySQL and MariaDB by their
//! clients', `ssl-mode` and `ssl-ca`, which mean the same.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use mysql_async::SslOpts;
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

    /// By the word that MySQL's clients have for it, in whatever case, or by libpq's. `verify_ca` is none of them: the driver
    /// checks the name together with where the certificate comes from.
    pub(crate) fn named_by_mysql(word: &str) -> Option<Self> {
        Some(match word.to_lowercase().as_str() {
            "disabled" | "disable" => Self::Disable,
            "preferred" | "prefer" => Self::Prefer,
            "required" | "require" => Self::Require,
            "verify_identity" | "verify-full" => Self::VerifyFull,
            _ => return None,
        })
    }

    /// MySQL's word.
    pub(crate) const fn mysql_word(self) -> &'static str {
        match self {
            Self::Disable => "DISABLED",
            Self::Prefer => "PREFERRED",
            Self::Require => "REQUIRED",
            Self::VerifyCa => "VERIFY_CA",
            Self::VerifyFull => "VERIFY_IDENTITY",
        }
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

    /// The same for the programs of MariaDB or MySQL, as options.
    pub(crate) fn options(&self, mariadb: bool) -> Vec<String> {
        let mode = self.checked();
        let mut out = Vec::new();
        if mariadb {
            match mode {
                SslMode::Disable => out.push("--skip-ssl".to_owned()),
                SslMode::Prefer => {}
                SslMode::Require => {
                    out.extend(["--ssl", "--disable-ssl-verify-server-cert"].map(str::to_owned));
                }
                SslMode::VerifyCa | SslMode::VerifyFull => {
                    out.extend(["--ssl", "--ssl-verify-server-cert"].map(str::to_owned));
                }
            }
        } else {
            out.push(format!("--ssl-mode={}", mode.mysql_word()));
        }
        if matches!(mode, SslMode::VerifyCa | SslMode::VerifyFull) {
            let roots = self.roots.as_deref().unwrap_or_else(|| Path::new(SYSTEM_BUNDLE));
            out.push(format!("--ssl-ca={}", roots.display()));
        }
        out
    }

    /// What MySQL's driver makes a handshake with; none: in plain.
    pub(crate) fn mysql(&self) -> Result<Option<SslOpts>, String> {
        let unchecked = || {
            SslOpts::default()
                .with_danger_accept_invalid_certs(true)
                .with_danger_skip_domain_validation(true)
        };
        let mode = self.checked();
        Ok(match mode {
            SslMode::Disable => None,
            SslMode::Prefer | SslMode::Require => Some(unchecked()),
            SslMode::VerifyCa | SslMode::VerifyFull => {
                let roots = certificates(self.roots.as_deref())?;
                let roots = roots.into_iter().map(|one| one.to_vec().into());
                let options = SslOpts::default()
                    .with_disable_built_in_roots(true)
                    .with_root_certs(roots.collect());
                Some(options)
            }
        })
    }

    /// What a handshake is made with, or why there is nothing to make it with.
    pub(crate) fn client(&self) -> Result<ClientConfig, String> {
        let provider = Arc::new(aws_lc_rs::default_provider());
        let verifier: Arc<dyn ServerCertVerifier> = match self.checked() {
            SslMode::Disable | SslMode::Prefer | SslMode::Require => Arc::new(Anybody(Arc::clone(&provider))),
            mode => {
                let mut roots = RootCertStore::empty();
                roots.add_parsable_certificates(certificates(self.roots.as_deref())?);
                let roots = Arc::new(roots);
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

/// The certificates that are trusted: those of a file, all of which must be readable, or those of the system that are.
fn certificates(file: Option<&Path>) -> Result<Vec<CertificateDer<'static>>, String> {
    let mut store = RootCertStore::empty();
    if let Some(file) = file {
        let shown = file.display();
        let found = CertificateDer::pem_file_iter(file).map_err(|error| format!("{shown}: {error}"))?;
        let found: Result<Vec<_>, _> = found.collect();
        let found = found.map_err(|error| format!("{shown}: {error}"))?;
        for certificate in &found {
            store
                .add(certificate.clone())
                .map_err(|error| format!("{shown}: {error}"))?;
        }
        if found.is_empty() {
            return Err(format!("{shown} holds no certificate"));
        }
        return Ok(found);
    }
    let mut found = rustls_native_certs::load_native_certs().certs;
    found.retain(|certificate| store.add(certificate.clone()).is_ok());
    if found.is_empty() {
        return Err("this machine trusts no certificates; `sslrootcert=FILE` names one".to_owned());
    }
    Ok(found)
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
