//! Encrypted sessions with a real MariaDB server.

#![expect(clippy::unwrap_used, reason = "in a test, a failed unwrap is the failure")]

use std::path::Path;

use cutover_db::{DatabaseUrl, DbError, MySession};
use cutover_testkit::{MariaDbServer, require_or_skip};
use mysql_async::prelude::Queryable as _;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};

type Authority = CertifiedIssuer<'static, KeyPair>;

fn authority() -> Authority {
    let mut params = CertificateParams::new(Vec::<String>::new()).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap()
}

fn certificate(names: &[&str], key: &KeyPair, by: &Authority) -> String {
    let names: Vec<String> = names.iter().map(|&name| name.to_owned()).collect();
    CertificateParams::new(names)
        .unwrap()
        .signed_by(key, by)
        .unwrap()
        .pem()
}

async fn encrypted(url: &str) -> Result<bool, DbError> {
    let DatabaseUrl::Mysql(url) = url.parse().unwrap() else {
        panic!("{url}")
    };
    let mut session = MySession::connect(&url, "tls test").await?;
    let cipher: Option<(String, String)> = session
        .query_first("SHOW STATUS LIKE 'Ssl_cipher'")
        .await
        .unwrap();
    Ok(!cipher.unwrap().1.is_empty())
}

async fn code(url: &str) -> String {
    encrypted(url).await.unwrap_err().diagnostic().code
}

#[tokio::test]
async fn a_session_is_encrypted_as_far_as_its_address_asks() {
    if require_or_skip("mariadbd").is_none() {
        return;
    }
    let (ours, others) = (authority(), authority());
    let key = KeyPair::generate().unwrap();
    // For another name than the address.
    let (first, pem) = (certificate(&["db.example"], &key, &ours), key.serialize_pem());
    let (server, plain) = tokio::task::spawn_blocking(move || {
        (
            MariaDbServer::start_encrypted(&first, &pem).unwrap(),
            MariaDbServer::start().unwrap(),
        )
    })
    .await
    .unwrap();

    // A server that offers nothing: in plain only where the address allows it.
    let with = |more: &str| format!("{}?{more}", plain.url("mysql"));
    assert!(!encrypted(&plain.url("mysql")).await.unwrap());
    assert!(!encrypted(&with("ssl-mode=preferred")).await.unwrap());
    assert_eq!(code(&with("ssl-mode=required")).await, "db.tls-failed");
    assert_eq!(code(&with("ssl-mode=verify_identity")).await, "db.tls-failed");
    drop(plain);

    let with = |more: &str| format!("{}?{more}", server.url("mysql"));
    let folder = tempfile::tempdir().unwrap();
    let trusted = folder.path().join("ours.pem");
    std::fs::write(&trusted, ours.pem()).unwrap();
    let stranger = folder.path().join("others.pem");
    std::fs::write(&stranger, others.pem()).unwrap();
    let root = |file: &Path| with(&format!("ssl-mode=verify_identity&ssl-ca={}", file.display()));

    assert!(!encrypted(&with("ssl-mode=disabled")).await.unwrap());
    assert!(encrypted(&with("ssl-mode=preferred")).await.unwrap());
    assert!(encrypted(&with("ssl-mode=required")).await.unwrap());
    assert_eq!(code(&root(&trusted)).await, "db.tls-failed");
    assert_eq!(code(&root(Path::new("/no/such/file"))).await, "db.tls-failed");

    // And one that is for the address.
    let second = certificate(&["127.0.0.1", "localhost"], &key, &ours);
    server.renew(&second).await.unwrap();
    assert!(encrypted(&root(&trusted)).await.unwrap());
    assert_eq!(code(&root(&stranger)).await, "db.tls-failed");
    // Nobody's machine trusts this one.
    assert_eq!(code(&with("ssl-mode=verify_identity")).await, "db.tls-failed");
}
