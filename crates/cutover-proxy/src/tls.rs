//! TLS towards clients: 1.2 and 1.3, a certificate by the name that the client asks for, HTTP/2 by ALPN.
//!
//! Owns the certificates of one route, which are replaced while it serves. The files' content is
//! [`crate::certificates`]' business.

use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use arc_swap::ArcSwap;
use cutover_model::routing::Tls;
use rustls::ServerConfig;
use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use thiserror::Error;
use tokio::net::TcpStream;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use crate::certificates::{self, CertificateError, Stamp};

/// What is done about certificates that cannot be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum UseOfBroken {
    /// A new table with them is refused.
    Refuse,
    /// A proxy that comes back with a kept table serves everything else, and these as soon as they are whole.
    Await,
}

/// Why TLS cannot be served.
#[derive(Debug, Error)]
pub(crate) enum TlsError {
    #[error(transparent)]
    Certificate(#[from] CertificateError),
    #[error("TLS cannot be set up: {0}")]
    Setup(#[from] rustls::Error),
}

/// One route's TLS.
pub(crate) struct TlsServer {
    wanted: Tls,
    acceptor: TlsAcceptor,
    provider: Arc<CryptoProvider>,
    served: Arc<Served>,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    stamp: Stamp,
    loads: u64,
    problem: Option<CertificateError>,
}

/// The certificates that are served now.
#[derive(Debug)]
struct Served(ArcSwap<Vec<Arc<CertifiedKey>>>);

impl ResolvesServerCert for Served {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        certificates::choose(&self.0.load(), hello.server_name()).cloned()
    }
}

impl std::fmt::Debug for TlsServer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("TlsServer")
            .field("wanted", &self.wanted)
            .finish_non_exhaustive()
    }
}

impl TlsServer {
    pub(crate) fn new(wanted: Tls, broken: UseOfBroken) -> Result<Self, TlsError> {
        // Not the process's default: who links this crate may have chosen another one, or none.
        let provider = Arc::new(aws_lc_rs::default_provider());
        // Looked at before the content, so that a change in between is seen the next time.
        let stamp = Stamp::of(&wanted);
        let (keys, problem) = match certificates::load(&wanted, &provider) {
            Ok(keys) => (keys, None),
            Err(error) if broken == UseOfBroken::Refuse => return Err(error.into()),
            Err(error) => {
                tracing::error!(%error, "TLS waits for its certificates");
                (Vec::new(), Some(error))
            }
        };
        let loads = u64::from(problem.is_none());
        let served = Arc::new(Served(ArcSwap::from_pointee(keys)));
        let builder = ServerConfig::builder_with_provider(Arc::clone(&provider));
        let mut config = builder
            .with_protocol_versions(&[&rustls::version::TLS13, &rustls::version::TLS12])?
            .with_no_client_auth()
            .with_cert_resolver(Arc::clone(&served) as Arc<dyn ResolvesServerCert>);
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        config.ticketer = aws_lc_rs::Ticketer::new()?;
        Ok(Self {
            wanted,
            acceptor: TlsAcceptor::from(Arc::new(config)),
            provider,
            served,
            state: Mutex::new(State {
                stamp,
                loads,
                problem,
            }),
        })
    }

    pub(crate) fn wanted(&self) -> &Tls {
        &self.wanted
    }

    pub(crate) async fn accept(&self, stream: TcpStream) -> io::Result<TlsStream<TcpStream>> {
        self.acceptor.accept(stream).await
    }

    /// How often certificates were loaded, and why the newest files are not served.
    pub(crate) fn loads(&self) -> u64 {
        self.state().loads
    }

    pub(crate) fn problem(&self) -> Option<CertificateError> {
        self.state().problem.clone()
    }

    /// Serves by the files as they are now, if they have changed and are whole. May block.
    pub(crate) fn look_again(&self) {
        let stamp = Stamp::of(&self.wanted);
        if self.state().stamp == stamp {
            return;
        }
        let loaded = certificates::load(&self.wanted, &self.provider);
        let mut state = self.state();
        state.stamp = stamp;
        match loaded {
            Ok(keys) => {
                self.served.0.store(Arc::new(keys));
                state.loads += 1;
                state.problem = None;
                tracing::info!("serving by new certificates");
            }
            Err(error) => {
                tracing::error!(%error, "changed certificates cannot be used: the old ones are served");
                state.problem = Some(error);
            }
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
