//! Encrypted sessions with a real PostgreSQL server.

#![expect(clippy::unwrap_used, reason = "in a test, a failed unwrap is the failure")]

use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use cutover_db::{DatabaseUrl, DbError, PgSession, PostgresUrl};
use cutover_testkit::{PostgresServer, require_or_skip};
use nix::unistd::{Gid, Uid, chown};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};

type Authority = CertifiedIssuer<'static, KeyPair>;

fn authority() -> Authority {
    let mut params = CertificateParams::new(Vec::<String>::new()).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap()
}

fn parsed(url: &str) -> PostgresUrl {
    match url.parse().unwrap() {
        DatabaseUrl::Postgres(url) => *url,
        other => panic!("{other:?}"),
    }
}

async fn encrypted(url: &str) -> Result<bool, DbError> {
    let session = PgSession::connect(&parsed(url), "tls test").await?;
    let row = session
        .query_one("SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()", &[])
        .await
        .unwrap();
    Ok(row.get(0))
}

async fn code(url: &str) -> String {
    encrypted(url).await.unwrap_err().diagnostic().code
}

/// Writes a file that only the server's user can read.
fn write(data: &Path, name: &str, text: &str) -> PathBuf {
    let path = data.join(name);
    std::fs::write(&path, text).unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
    let owner = std::fs::metadata(data).unwrap();
    let (user, group) = (Uid::from_raw(owner.uid()), Gid::from_raw(owner.gid()));
    chown(&path, Some(user), Some(group)).unwrap();
    path
}

#[tokio::test]
async fn a_session_is_encrypted_as_far_as_its_address_asks() {
    let Some(programs) = require_or_skip("postgres") else {
        return;
    };
    let server = tokio::task::spawn_blocking(move || PostgresServer::start(&programs).unwrap())
        .await
        .unwrap();
    let plain = server.create_database().await;
    let with = |more: &str| format!("{plain}?{more}");

    // A server that offers nothing: in plain only where the address allows it.
    assert!(!encrypted(&plain).await.unwrap());
    assert_eq!(code(&with("sslmode=require")).await, "db.tls-failed");
    assert_eq!(code(&with("sslmode=verify-full")).await, "db.tls-failed");

    // Its certificate is for another name than the address.
    let (ours, others) = (authority(), authority());
    let key = KeyPair::generate().unwrap();
    let certificate = CertificateParams::new(vec!["db.example".to_owned()])
        .unwrap()
        .signed_by(&key, &ours)
        .unwrap();
    let session = PgSession::connect(&parsed(&with("sslmode=disable")), "tls test")
        .await
        .unwrap();
    let row = session.query_one("SHOW data_directory", &[]).await.unwrap();
    let data = PathBuf::from(row.get::<_, String>(0));
    write(&data, "server.crt", &certificate.pem());
    write(&data, "server.key", &key.serialize_pem());
    let folder = tempfile::tempdir().unwrap();
    let trusted = folder.path().join("ours.pem");
    std::fs::write(&trusted, ours.pem()).unwrap();
    let stranger = folder.path().join("others.pem");
    std::fs::write(&stranger, others.pem()).unwrap();
    session.batch_execute("ALTER SYSTEM SET ssl = on").await.unwrap();
    session.batch_execute("SELECT pg_reload_conf()").await.unwrap();
    let require = with("sslmode=require");
    cutover_testkit::wait_for("encryption", std::time::Duration::from_secs(30), || async {
        encrypted(&require).await.is_ok()
    })
    .await;

    assert!(encrypted(&plain).await.unwrap(), "prefer encrypts where it can");
    assert!(!encrypted(&with("sslmode=disable")).await.unwrap());
    assert!(encrypted(&require).await.unwrap());
    let root = |mode: &str, file: &Path| with(&format!("sslmode={mode}&sslrootcert={}", file.display()));
    assert!(encrypted(&root("verify-ca", &trusted)).await.unwrap());
    assert_eq!(code(&root("verify-ca", &stranger)).await, "db.tls-failed");
    // As libpq does: a named certificate is not ignored.
    assert_eq!(code(&root("require", &stranger)).await, "db.tls-failed");
    assert_eq!(code(&root("verify-full", &trusted)).await, "db.tls-failed");
    assert_eq!(
        code(&root("verify-ca", Path::new("/no/such/file"))).await,
        "db.tls-failed"
    );
    // Nobody's machine trusts this one.
    assert_eq!(code(&with("sslmode=verify-ca")).await, "db.tls-failed");

    // And one that is for the address.
    let certificate = CertificateParams::new(vec!["127.0.0.1".to_owned(), "localhost".to_owned()])
        .unwrap()
        .signed_by(&key, &ours)
        .unwrap();
    write(&data, "server.crt", &certificate.pem());
    session.batch_execute("SELECT pg_reload_conf()").await.unwrap();
    let full = root("verify-full", &trusted);
    cutover_testkit::wait_for(
        "the new certificate",
        std::time::Duration::from_secs(30),
        || async { encrypted(&full).await.is_ok() },
    )
    .await;
    drop(session);
}
