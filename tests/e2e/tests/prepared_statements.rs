//! A client that has prepared `SELECT *` over pooled connections, while a migration adds a column to the table.

use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use std::time::Duration;

use cutover_e2e::{Spec, Stage};
use cutover_testkit::{postgres_database, wait_for};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Mutex;
use tokio_postgres::{Client, Error, NoTls, Statement};

const URL: &str = "READER_DATABASE_URL";

/// Not a test of its own: the application, whose process is this test's program.
#[test]
fn reader_process() {
    if let Ok(url) = std::env::var(URL) {
        let port: u16 = std::env::var("PORT").expect("a port").parse().expect("a number");
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        runtime.expect("a runtime").block_on(serve(url, port));
    }
}

/// A connection of the pool, and what it has prepared.
type Pooled = Mutex<Option<(Client, Statement)>>;

async fn serve(url: String, port: u16) {
    let pool: Arc<[Pooled; 4]> = Arc::default();
    let listener = TcpListener::bind(("127.0.0.1", port))
        .await
        .expect("a port that is free");
    let next = Arc::new(AtomicUsize::new(0));
    loop {
        let (mut stream, _) = listener.accept().await.expect("a client");
        let (pool, next, url) = (Arc::clone(&pool), Arc::clone(&next), url.clone());
        tokio::spawn(async move {
            while let Some(path) = path_of_request(&mut stream).await {
                let read = if path == "/users" {
                    let place = next.fetch_add(1, SeqCst) % pool.len();
                    users(&pool[place], &url).await
                } else {
                    Ok(0)
                };
                let answer = match read {
                    Ok(_) => "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok".to_owned(),
                    Err(error) => {
                        let why = error.as_db_error().map_or("broken", |error| error.message());
                        format!("HTTP/1.1 500 No\r\nContent-Length: {}\r\n\r\n{why}", why.len())
                    }
                };
                if stream.write_all(answer.as_bytes()).await.is_err() {
                    return;
                }
            }
        });
    }
}

/// As pools do: a connection that is closed is replaced before it is used; one that is open keeps its statement.
async fn users(pooled: &Pooled, url: &str) -> Result<usize, Error> {
    let mut pooled = pooled.lock().await;
    let open = pooled.take().filter(|(client, _)| !client.is_closed());
    let (client, statement) = match open {
        Some(open) => open,
        None => {
            let (client, connection) = tokio_postgres::connect(url, NoTls).await?;
            tokio::spawn(connection);
            let statement = client.prepare("SELECT * FROM users").await?;
            (client, statement)
        }
    };
    let rows = client.query(&statement, &[]).await;
    *pooled = Some((client, statement));
    Ok(rows?.len())
}

async fn path_of_request(stream: &mut TcpStream) -> Option<String> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await.ok()?);
    }
    let head = String::from_utf8(head).ok()?;
    head.split(' ').nth(1).map(str::to_owned)
}

/// Reads all the time; says how often that went well, and what else was answered.
async fn reading(target: SocketAddr, stop: Arc<AtomicBool>) -> (u64, Vec<String>) {
    let (mut good, mut bad) = (0, Vec::new());
    while !stop.load(SeqCst) {
        let mut stream = TcpStream::connect(target).await.expect("the proxy");
        let asked = b"GET /users HTTP/1.1\r\nHost: a.test\r\nConnection: close\r\n\r\n";
        stream.write_all(asked).await.expect("it listens");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.expect("an answer");
        if answer.starts_with("HTTP/1.1 200") {
            good += 1;
        } else {
            bad.push(answer);
        }
        tokio::time::sleep(Duration::from_millis(3)).await;
    }
    (good, bad)
}

fn releases(folder: &Path) {
    let table = "CREATE TABLE users (id bigint PRIMARY KEY, name text NOT NULL);\nINSERT INTO users VALUES (1, 'Ada');\n";
    let column = "ALTER TABLE users ADD COLUMN nick text;\n";
    for (version, files) in [
        ("1.0.0", &[("001_users", table, "DROP TABLE users;\n")][..]),
        (
            "1.1.0",
            &[
                ("001_users", table, "DROP TABLE users;\n"),
                ("002_nick", column, "ALTER TABLE users DROP COLUMN nick;\n"),
            ],
        ),
    ] {
        let folder = folder.join("releases").join(version).join("migrations/postgres");
        std::fs::create_dir_all(&folder).expect("a folder");
        for (name, up, down) in files {
            std::fs::write(folder.join(format!("{name}.up.sql")), up).expect("a file");
            std::fs::write(folder.join(format!("{name}.down.sql")), down).expect("a file");
        }
    }
}

/// Upgrades under load; what was not answered well.
async fn upgraded(recycle: bool) -> Option<Vec<String>> {
    let database = postgres_database().await?;
    let mut spec = Spec {
        strategy: "  blueGreen: {scaleDownDelay: 500ms}\n".to_owned(),
        database: Some(database.clone()),
        recycle,
        ..Spec::default()
    };
    let stage = Stage::new(&spec);
    let folder = stage.folder();
    releases(folder);
    let program = folder.join("reader");
    let own = std::env::current_exe().expect("its own path");
    let script = format!(
        "#!/bin/sh\nexport {URL}=\"$DATABASE_URL\"\nexec {} --exact reader_process --nocapture\n",
        own.display()
    );
    std::fs::write(&program, script).expect("a script");
    std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o755)).expect("a program");
    spec.program = Some(program.display().to_string());
    spec.releases = Some(folder.join("releases").display().to_string());
    stage.respecify(&spec);
    let _first = stage.run(&["upgrade", "1.0.0", "--yes"]).exits(0);
    let stop = Arc::new(AtomicBool::new(false));
    let readers: Vec<_> = (0..4)
        .map(|_| tokio::spawn(reading(stage.address(), Arc::clone(&stop))))
        .collect();
    let (looking, _) = tokio_postgres::connect(&database, NoTls)
        .await
        .map(|(client, connection)| (client, tokio::spawn(connection)))
        .expect("the database");
    wait_for("connections that have read all columns", Duration::from_secs(20), || async {
        let asked = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND query = 'SELECT * FROM users'";
        looking.query_one(asked, &[]).await.expect("a count").get::<_, i64>(0) >= 4
    })
    .await;
    let stage = tokio::task::spawn_blocking(move || {
        let up = stage.run(&["upgrade", "1.1.0", "--yes"]);
        // What hurts the old version may be seen on it in time, and taken back.
        if recycle {
            let _up = up.exits(0);
        }
        stage
    })
    .await
    .expect("the command");
    stop.store(true, SeqCst);
    let mut bad = Vec::new();
    for reader in readers {
        let (good, other) = reader.await.expect("a reader");
        assert!(good > 0, "it was read");
        bad.extend(other);
    }
    drop(stage);
    Some(bad)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_further_ado_the_old_version_fails_after_the_change() {
    let Some(bad) = upgraded(false).await else { return };
    assert!(
        bad.iter()
            .any(|answer| answer.contains("cached plan must not change result type")),
        "{bad:?}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn when_connections_are_recycled_no_request_fails() {
    let Some(bad) = upgraded(true).await else { return };
    assert_eq!(bad, Vec::<String>::new());
}
