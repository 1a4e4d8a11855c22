//! How the shop is: `/health` for people and dashboards, `/ready` for whoever sends it requests.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use serde::Serialize;
use serde_json::{Value, json};
use tokio::time::Instant;

use crate::redis;
use crate::server::Shop;
use crate::users;

/// The answer of `/health`. These fields, no others: monitors of several releases read them.
#[derive(Debug, Serialize)]
pub(crate) struct Health {
    status: Status,
    uptime_seconds: u64,
    database: Dependency,
    redis: Dependency,
    environment: String,
    version: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
enum Status {
    Healthy,
    Degraded,
    Unhealthy,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
enum Dependency {
    Connected,
    Disconnected,
    NotConfigured,
}

/// What is not configured does not count.
fn status(dependencies: &[Dependency]) -> Status {
    let connected = dependencies.contains(&Dependency::Connected);
    let disconnected = dependencies.contains(&Dependency::Disconnected);
    match (connected, disconnected) {
        (_, false) => Status::Healthy,
        (true, true) => Status::Degraded,
        (false, true) => Status::Unhealthy,
    }
}

pub(crate) async fn health(State(shop): State<Arc<Shop>>) -> (StatusCode, Json<Health>) {
    let (database, redis) = tokio::join!(database(&shop), redis(&shop));
    let status = status(&[database, redis]);
    let code = if status == Status::Unhealthy {
        StatusCode::SERVICE_UNAVAILABLE
    } else {
        StatusCode::OK
    };
    let health = Health {
        status,
        uptime_seconds: shop.started.elapsed().as_secs(),
        database,
        redis,
        environment: shop.config.environment.clone(),
        version: shop.config.version.to_string(),
    };
    (code, Json(health))
}

async fn database(shop: &Shop) -> Dependency {
    match shop.database.ping().await {
        Ok(()) => Dependency::Connected,
        Err(error) => {
            tracing::warn!(
                error = &error as &dyn std::error::Error,
                "the database does not answer"
            );
            Dependency::Disconnected
        }
    }
}

async fn redis(shop: &Shop) -> Dependency {
    let Some(address) = &shop.config.redis else {
        return Dependency::NotConfigured;
    };
    match redis::ping(address).await {
        Ok(()) => Dependency::Connected,
        Err(error) => {
            tracing::warn!(error = &error as &dyn std::error::Error, "Redis does not answer");
            Dependency::Disconnected
        }
    }
}

/// Ready means that users can be served: the database answers and has the columns of this release.
pub(crate) async fn ready(State(shop): State<Arc<Shop>>) -> (StatusCode, Json<Value>) {
    match users::schema_fits(&shop.database, shop.release.layout).await {
        Ok(()) => (StatusCode::OK, Json(json!({"status": "ok"}))),
        Err(error) => {
            tracing::warn!(error = &error as &dyn std::error::Error, "not ready");
            (
                StatusCode::SERVICE_UNAVAILABLE,
                Json(json!({"status": "unavailable"})),
            )
        }
    }
}

/// `/api/db/ping`: one round trip to the database and how long it took.
pub(crate) async fn ping(State(shop): State<Arc<Shop>>) -> (StatusCode, Json<Value>) {
    let started = Instant::now();
    let answer = shop.database.ping().await;
    let took = started.elapsed().as_secs_f64() * 1000.0;
    let body = json!({"database": shop.database.kind(), "ok": answer.is_ok(), "latency_ms": took});
    (
        if answer.is_ok() {
            StatusCode::OK
        } else {
            StatusCode::SERVICE_UNAVAILABLE
        },
        Json(body),
    )
}

#[cfg(test)]
mod tests {
    use super::Dependency::{Connected, Disconnected, NotConfigured};
    use super::*;

    #[test]
    fn only_what_is_configured_counts() {
        for (database, redis, expected) in [
            (Connected, NotConfigured, Status::Healthy),
            (Connected, Connected, Status::Healthy),
            (Connected, Disconnected, Status::Degraded),
            (Disconnected, Connected, Status::Degraded),
            (Disconnected, Disconnected, Status::Unhealthy),
            (Disconnected, NotConfigured, Status::Unhealthy),
        ] {
            assert_eq!(status(&[database, redis]), expected, "{database:?} {redis:?}");
        }
    }
}
