//! The HTTP service: its routes, what happens around every request, and its life from start to stop.

use std::future::IntoFuture;
use std::net::SocketAddr;
use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::{HeaderValue, StatusCode};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::serve::ListenerExt;
use axum::{Json, Router};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::config::Config;
use crate::database::Database;
use crate::error::Error;
use crate::faults::{Fault, Faults, SLOWNESS};
use crate::metrics::Metrics;
use crate::problem::Problem;
use crate::release::Release;
use crate::{health, metrics, users};

/// In every answer: the version that gave it.
pub const VERSION_HEADER: &str = "x-backend-version";

/// What the handlers share.
pub(crate) struct Shop {
    pub(crate) config: Config,
    pub(crate) release: Release,
    pub(crate) database: Database,
    pub(crate) metrics: Metrics,
    pub(crate) started: Instant,
    faults: Faults,
    version: HeaderValue,
}

/// A running shop. Dropping it lets it run on; [`Server::stop`] ends it.
#[derive(Debug)]
pub struct Server {
    address: SocketAddr,
    stopping: CancellationToken,
    serving: JoinHandle<std::io::Result<()>>,
}

impl Server {
    /// Listens, then serves in the background. The database need not be there yet: the shop is not ready until it is.
    ///
    /// # Errors
    /// When the address cannot be bound.
    pub async fn start(config: Config) -> Result<Self, Error> {
        let listen = |source| Error::Listen {
            host: config.host.clone(),
            port: config.port,
            source,
        };
        let listener = TcpListener::bind((config.host.as_str(), config.port))
            .await
            .map_err(listen)?;
        let address = listener.local_addr().map_err(listen)?;
        tracing::info!(%address, version = %config.version, environment = config.environment, "the shop is open");

        let stopping = CancellationToken::new();
        let signal = stopping.clone().cancelled_owned();
        // Answers are small and complete: waiting to fill a packet only delays them.
        let listener = listener.tap_io(|stream| {
            drop(stream.set_nodelay(true));
        });
        let serving = tokio::spawn(
            axum::serve(listener, routes(config))
                .with_graceful_shutdown(signal)
                .into_future(),
        );
        Ok(Self {
            address,
            stopping,
            serving,
        })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Stops accepting, finishes the requests in flight, closes idle connections.
    ///
    /// # Errors
    /// When the server had already broken.
    pub async fn stop(mut self) -> Result<(), Error> {
        self.stopping.cancel();
        self.ended().await
    }

    /// Waits until the server ends, which it does not do by itself.
    ///
    /// # Errors
    /// When it broke.
    pub async fn ended(&mut self) -> Result<(), Error> {
        (&mut self.serving)
            .await
            .map_err(std::io::Error::other)
            .flatten()
            .map_err(Error::Serve)
    }
}

fn routes(config: Config) -> Router {
    let release = Release::of(&config.version);
    let shop = Arc::new(Shop {
        release,
        database: Database::new(&config.database),
        metrics: Metrics::default(),
        started: Instant::now(),
        faults: Faults::new(release.faulty),
        version: HeaderValue::try_from(config.version.to_string()).expect("a version is plain ASCII"),
        config,
    });
    Router::new()
        .route("/health", get(health::health))
        .route("/ready", get(health::ready))
        .route("/metrics", get(metrics::metrics))
        .route("/api/version", get(version))
        .route("/api/db/ping", get(health::ping))
        .route("/api/test", get(test))
        .route("/api/users", get(users::list).post(users::create))
        .route("/api/users/{id}", get(users::read).put(users::change))
        .fallback(async || Problem::new(StatusCode::NOT_FOUND, "there is no such page"))
        .layer(axum::middleware::from_fn_with_state(Arc::clone(&shop), around))
        .with_state(shop)
}

/// Around every request: the faults of a bad release, the metrics, the version's header.
async fn around(State(shop): State<Arc<Shop>>, request: Request, next: Next) -> Response {
    let started = Instant::now();
    let probe = matches!(request.uri().path(), "/health" | "/ready" | "/metrics");
    let mut response = match shop.faults.next(request.uri().path()) {
        Fault::None => next.run(request).await,
        Fault::Error => {
            Problem::new(StatusCode::INTERNAL_SERVER_ERROR, "this release is broken").into_response()
        }
        Fault::Slow => {
            tokio::time::sleep(SLOWNESS).await;
            next.run(request).await
        }
    };
    if !probe {
        shop.metrics.record(response.status(), started.elapsed());
    }
    response
        .headers_mut()
        .insert(VERSION_HEADER, shop.version.clone());
    response
}

async fn version(State(shop): State<Arc<Shop>>) -> Json<Value> {
    let Config {
        version,
        environment,
        track,
        ..
    } = &shop.config;
    Json(json!({"version": version.to_string(), "environment": environment, "track": track}))
}

async fn test(State(shop): State<Arc<Shop>>) -> Json<Value> {
    let Config {
        version, environment, ..
    } = &shop.config;
    Json(
        json!({"ok": true, "message": "the shop is open", "version": version.to_string(), "environment": environment}),
    )
}
