//! Every endpoint of the shop, on SQLite.

use std::collections::BTreeSet;

use crate::support::migrations::Direct;
use crate::support::process::Process;
use crate::support::{config, http, serve, shared_database, sqlite_url};
use serde_json::json;
use shop::{RedisAddress, Server};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

#[tokio::test]
async fn users_are_listed_read_created_and_changed_alike_in_good_versions() {
    for version in ["1.0.0", "1.1.0"] {
        let (_folder, url) = shared_database().await;
        let server = serve(version, &url).await;
        let to = server.address();

        let created = http::request(
            to,
            "POST /api/users",
            Some(json!({"name": " Ada  Lovelace", "email": "ada@shop.example"})),
        )
        .await;
        assert_eq!(created.status, 201);
        assert_eq!(
            created.json(),
            json!({"id": 1, "name": "Ada Lovelace", "email": "ada@shop.example"})
        );
        http::post(to, "Cher").await;
        assert_eq!(
            http::put(to, &json!(1), "Ada King").await["email"],
            "ada@shop.example"
        );
        assert_eq!(http::get(to, "/api/users/1").await.json()["name"], "Ada King");
        let all = http::get(to, "/api/users").await.json();
        assert_eq!(all[1], json!({"id": 2, "name": "Cher", "email": null}));
        assert_eq!(
            http::get(to, "/api/users?limit=1")
                .await
                .json()
                .as_array()
                .unwrap()
                .len(),
            1
        );
        server.stop().await.unwrap();
    }
}

#[tokio::test]
async fn what_cannot_be_done_is_said_as_json() {
    let (_folder, url) = shared_database().await;
    let server = serve("1.1.0", &url).await;
    let to = server.address();
    for (head, body, status) in [
        ("GET /api/users/99", None, 404),
        ("PUT /api/users/99", Some(json!({"name": "Ada"})), 404),
        ("GET /api/users/ada", None, 400),
        ("GET /api/users?limit=many", None, 400),
        ("POST /api/users", Some(json!({"name": "  "})), 422),
        ("POST /api/users", Some(json!({"name": "x".repeat(201)})), 422),
        ("POST /api/users", Some(json!({"nom": "Ada"})), 422),
        ("GET /nowhere", None, 404),
    ] {
        let answer = http::request(to, head, body).await;
        assert_eq!(answer.status, status, "{head}: {}", answer.body);
        assert!(answer.json()["error"].is_string(), "{head}: {}", answer.body);
        assert_eq!(answer.header("x-backend-version"), Some("1.1.0"), "{head}");
    }
    server.stop().await.unwrap();
}

#[tokio::test]
async fn the_small_endpoints_say_who_answers() {
    let (_folder, url) = shared_database().await;
    for version in ["1.0.0", "1.1.0", "1.2.0"] {
        let server = serve(version, &url).await;
        let to = server.address();
        let answer = http::get(to, "/api/version").await;
        assert_eq!(
            answer.json(),
            json!({"version": version, "environment": "blue", "track": "stable"})
        );
        assert_eq!(answer.header("x-backend-version"), Some(version));
        assert_eq!(http::get(to, "/api/test").await.json()["ok"], true);
        let ping = http::get(to, "/api/db/ping").await;
        assert_eq!(
            (ping.status, ping.json()["database"].as_str()),
            (200, Some("sqlite"))
        );
        assert_eq!(http::get(to, "/ready").await.json(), json!({"status": "ok"}));
        server.stop().await.unwrap();
    }
}

#[tokio::test]
async fn the_bad_version_fails_one_in_four_and_passes_its_smoke_tests() {
    let (_folder, url) = shared_database().await;
    let server = serve("1.2.0", &url).await;
    let to = server.address();
    let mut failed = 0;
    for _ in 0..20 {
        assert_eq!(http::get(to, "/api/version").await.status, 200);
        assert_eq!(http::get(to, "/api/db/ping").await.status, 200);
        let answer = http::get(to, "/api/users").await;
        assert_eq!(answer.header("x-backend-version"), Some("1.2.0"));
        failed += u32::from(answer.status == 500);
    }
    assert_eq!(failed, 5);
    let numbers = http::request(to, "GET /metrics\naccept: application/json", None)
        .await
        .json();
    assert_eq!(
        (&numbers["total_requests"], &numbers["total_errors"]),
        (&json!(60), &json!(5))
    );
    server.stop().await.unwrap();
}

#[tokio::test]
async fn metrics_are_prometheus_text_unless_json_is_accepted() {
    let (_folder, url) = shared_database().await;
    let server = serve("1.0.0", &url).await;
    let to = server.address();
    http::get(to, "/api/test").await;
    http::get(to, "/health").await;
    let text = http::get(to, "/metrics").await;
    assert!(
        text.header("content-type")
            .unwrap()
            .starts_with("text/plain; version=0.0.4")
    );
    assert!(
        text.body
            .contains("shop_requests_total{version=\"1.0.0\",environment=\"blue\"} 1\n"),
        "{}",
        text.body
    );

    let numbers = http::request(to, "GET /metrics\naccept: application/json", None)
        .await
        .json();
    let fields: BTreeSet<&str> = numbers.as_object().unwrap().keys().map(String::as_str).collect();
    let expected = [
        "total_requests",
        "total_errors",
        "error_rate_percent",
        "avg_response_time_ms",
    ];
    assert_eq!(fields, BTreeSet::from(expected));
    server.stop().await.unwrap();
}

#[tokio::test]
async fn health_has_exactly_its_fields_and_redis_counts_only_when_configured() {
    let (_folder, url) = shared_database().await;
    let server = serve("1.1.0", &url).await;
    let answer = http::get(server.address(), "/health").await;
    assert_eq!(answer.status, 200);
    let health = answer.json();
    let fields: BTreeSet<&str> = health.as_object().unwrap().keys().map(String::as_str).collect();
    let expected = [
        "status",
        "uptime_seconds",
        "database",
        "redis",
        "environment",
        "version",
    ];
    assert_eq!(fields, BTreeSet::from(expected));
    assert_eq!(health["status"], "healthy");
    assert_eq!(health["database"], "connected");
    assert_eq!(health["redis"], "not_configured");
    assert_eq!(
        (&health["environment"], &health["version"]),
        (&json!("blue"), &json!("1.1.0"))
    );
    server.stop().await.unwrap();
}

#[tokio::test]
async fn health_is_degraded_when_one_of_two_answers_and_unhealthy_when_none_does() {
    let (folder, url) = shared_database().await;
    let missing = format!("sqlite://{}/missing/shop.db", folder.path().display());
    let cache = fake_redis().await;
    let closed = RedisAddress {
        host: "127.0.0.1".to_owned(),
        port: unused_port().await,
    };
    for (database, redis, status, said) in [
        (&url, Some(cache.clone()), 200, "healthy"),
        (&url, Some(closed.clone()), 200, "degraded"),
        (&missing, Some(cache), 200, "degraded"),
        (&missing, Some(closed), 503, "unhealthy"),
        (&missing, None, 503, "unhealthy"),
    ] {
        let mut config = config("1.0.0", database);
        config.redis = redis;
        let server = Server::start(config).await.unwrap();
        let answer = http::get(server.address(), "/health").await;
        assert_eq!(
            (answer.status, answer.json()["status"].as_str()),
            (status, Some(said)),
            "{}",
            answer.body
        );
        server.stop().await.unwrap();
    }
}

/// Speaks the two lines of Redis's protocol that the shop uses.
async fn fake_redis() -> RedisAddress {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut asked = [0; 6];
            if stream.read_exact(&mut asked).await.is_ok() && &asked == b"PING\r\n" {
                stream.write_all(b"+PONG\r\n").await.unwrap();
            }
        }
    });
    RedisAddress {
        host: "127.0.0.1".to_owned(),
        port,
    }
}

async fn unused_port() -> u16 {
    TcpListener::bind("127.0.0.1:0")
        .await
        .unwrap()
        .local_addr()
        .unwrap()
        .port()
}

/// The shop starts before its database and makes neither file nor table.
#[tokio::test]
async fn without_its_schema_the_shop_is_alive_but_not_ready() {
    let folder = tempfile::tempdir().unwrap();
    let url = sqlite_url(folder.path());
    let server = serve("1.0.0", &url).await;
    let to = server.address();
    assert_eq!(http::get(to, "/ready").await.status, 503);
    assert_eq!(http::get(to, "/api/db/ping").await.status, 503);
    assert!(!folder.path().join("shop.db").exists());

    Direct::open(&url).apply("001_create_users.up.sql").await;
    assert_eq!(http::get(to, "/ready").await.status, 200);
    server.stop().await.unwrap();

    let ahead = serve("1.1.0", &url).await;
    assert_eq!(
        http::get(ahead.address(), "/ready").await.status,
        503,
        "1.1.0 needs full_name"
    );
    ahead.stop().await.unwrap();
}

/// The client holds its body back until the server has been told to stop, so the request is in flight for certain.
#[tokio::test]
async fn stopping_finishes_what_is_in_flight() {
    let (_folder, url) = shared_database().await;
    let server = serve("1.1.0", &url).await;
    let to = server.address();
    let mut client = TcpStream::connect(to).await.unwrap();
    client
        .write_all(
            b"POST /api/users HTTP/1.1\r\nhost: shop\r\nexpect: 100-continue\r\n\
              content-type: application/json\r\ncontent-length: 14\r\n\r\n",
        )
        .await
        .unwrap();
    let mut waiting = [0; 25];
    client.read_exact(&mut waiting).await.unwrap();
    assert_eq!(&waiting, b"HTTP/1.1 100 Continue\r\n\r\n");

    let stopping = tokio::spawn(server.stop());
    while TcpStream::connect(to).await.is_ok() {
        tokio::task::yield_now().await;
    }
    assert!(!stopping.is_finished(), "it did not wait for the request");
    client.write_all(br#"{"name":"Ada"}"#).await.unwrap();
    let mut answer = String::new();
    client.read_to_string(&mut answer).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 201"), "{answer}");
    stopping.await.unwrap().unwrap();
}

#[tokio::test]
async fn the_program_ends_well_on_sigterm_and_badly_on_a_bad_environment() {
    let (_folder, url) = shared_database().await;
    let mut shop = Process::start("1.0.0", &url);
    assert_eq!(http::get(shop.address, "/ready").await.status, 200);
    assert!(shop.terminate().success());

    let output = std::process::Command::new(env!("CARGO_BIN_EXE_shop"))
        .env("VERSION", "new")
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(1));
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(
        said.contains("VERSION=new is not a version such as 1.1.0"),
        "{said}"
    );
}
