//! Certificates and their keys, from PEM files. What is in a key file never reaches a message.

use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::sync::Arc;

use cutover_model::routing::{Certificate, Tls};
use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::server::ParsedCertificate;
use rustls::sign::CertifiedKey;
use thiserror::Error;

/// Why a certificate cannot be used.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum CertificateError {
    /// A file cannot be read.
    #[error("cannot read {path}: {reason}")]
    Read {
        /// The file.
        path: String,
        /// What the system said.
        reason: String,
    },
    /// The file has none, or something that is none.
    #[error("{path} holds no certificate in PEM")]
    NoCertificate {
        /// The file.
        path: String,
    },
    /// The file has none, or one of a kind that is not known.
    #[error("{path} holds no private key in PEM that can be used")]
    NoKey {
        /// The file.
        path: String,
    },
    /// They are of two pairs.
    #[error("the key in {key} is not that of the certificate in {certificate}")]
    Mismatch {
        /// The file of the certificate.
        certificate: String,
        /// The file of the key.
        key: String,
    },
    /// There is none at all.
    #[error("TLS is asked for without a certificate")]
    None,
}

/// Reads all of them, or says which cannot be used.
///
/// # Errors
/// The first that cannot be used.
pub fn check_certificates(tls: &Tls) -> Result<(), CertificateError> {
    load(tls, &rustls::crypto::aws_lc_rs::default_provider()).map(drop)
}

pub(crate) fn load(tls: &Tls, provider: &CryptoProvider) -> Result<Vec<Arc<CertifiedKey>>, CertificateError> {
    if tls.certificates.is_empty() {
        return Err(CertificateError::None);
    }
    let one = |certificate| load_one(certificate, provider).map(Arc::new);
    tls.certificates.iter().map(one).collect()
}

fn load_one(files: &Certificate, provider: &CryptoProvider) -> Result<CertifiedKey, CertificateError> {
    let none = || CertificateError::NoCertificate {
        path: files.certificate.clone(),
    };
    let text = read(&files.certificate)?;
    let chain: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&text).collect();
    let chain = chain.map_err(|_| none())?;
    let leaf = chain.first().ok_or_else(none)?;
    ParsedCertificate::try_from(leaf).map_err(|_| none())?;
    let no_key = || CertificateError::NoKey {
        path: files.key.clone(),
    };
    let key = PrivateKeyDer::from_pem_slice(&read(&files.key)?).map_err(|_| no_key())?;
    CertifiedKey::from_der(chain, key, provider).map_err(|error| match error {
        rustls::Error::InconsistentKeys(_) => CertificateError::Mismatch {
            certificate: files.certificate.clone(),
            key: files.key.clone(),
        },
        _ => no_key(),
    })
}

fn read(path: &str) -> Result<Vec<u8>, CertificateError> {
    fs::read(path).map_err(|error| CertificateError::Read {
        path: path.to_owned(),
        reason: error.to_string(),
    })
}

/// The first that is for this name, else the first.
pub(crate) fn choose<'a>(
    known: &'a [Arc<CertifiedKey>],
    name: Option<&str>,
) -> Option<&'a Arc<CertifiedKey>> {
    let name = name.and_then(|name| ServerName::try_from(name).ok());
    let is_for = |key: &&Arc<CertifiedKey>| {
        let (Some(name), Some(leaf)) = (&name, key.cert.first()) else {
            return false;
        };
        ParsedCertificate::try_from(leaf)
            .is_ok_and(|parsed| rustls::client::verify_server_name(&parsed, name).is_ok())
    };
    known.iter().find(is_for).or_else(|| known.first())
}

/// What tells that a file is another one, or has another content.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Stamp(Vec<Option<(u64, u64, i64, i64)>>);

impl Stamp {
    pub(crate) fn of(tls: &Tls) -> Self {
        let files = tls
            .certificates
            .iter()
            .flat_map(|one| [&one.certificate, &one.key]);
        let stamp = |path: &String| -> io::Result<_> {
            let found = fs::metadata(path)?;
            Ok((found.ino(), found.size(), found.mtime(), found.mtime_nsec()))
        };
        Self(files.map(|path| stamp(path).ok()).collect())
    }
}
