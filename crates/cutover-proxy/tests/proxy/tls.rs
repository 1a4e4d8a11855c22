//! TLS towards clients: names, versions, protocols, and certificates that change while it serves.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use cutover_model::RoutePolicy;
use cutover_model::routing::{Certificate, Tls};
use cutover_proxy::{ClientError, PublishRequest, Refusal};
use rcgen::{CertificateParams, KeyPair};
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, ProtocolVersion, RootCertStore};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use crate::http2::Caller;
use crate::instance::Instance;
use crate::rig::{Rig, STABLE, eventually, fence, table};
use crate::visitor::Visitor;

/// Writes a certificate for a name, signed by its own key, and returns it.
fn write_certificate(folder: &Path, file: &str, name: &str) -> CertificateDer<'static> {
    let key = KeyPair::generate().unwrap();
    let certificate = CertificateParams::new(vec![name.to_owned()])
        .unwrap()
        .self_signed(&key)
        .unwrap();
    std::fs::write(folder.join(format!("{file}.key")), key.serialize_pem()).unwrap();
    std::fs::write(folder.join(format!("{file}.crt")), certificate.pem()).unwrap();
    certificate.der().clone()
}

fn files(folder: &Path, file: &str) -> Certificate {
    let path = |end: &str| folder.join(format!("{file}.{end}")).display().to_string();
    Certificate {
        certificate: path("crt"),
        key: path("key"),
    }
}

fn policy(certificates: Vec<Certificate>) -> RoutePolicy {
    RoutePolicy {
        tls: Some(Tls { certificates }),
        ..RoutePolicy::default()
    }
}

const ONLY_12: &[&rustls::SupportedProtocolVersion] = &[&rustls::version::TLS12];
const ONLY_13: &[&rustls::SupportedProtocolVersion] = &[&rustls::version::TLS13];

struct Dialer {
    roots: RootCertStore,
    versions: &'static [&'static rustls::SupportedProtocolVersion],
    alpn: Vec<Vec<u8>>,
}

impl Dialer {
    fn new(trusted: &[&CertificateDer<'static>]) -> Self {
        let mut roots = RootCertStore::empty();
        for certificate in trusted {
            roots.add((*certificate).clone()).unwrap();
        }
        Self {
            roots,
            versions: rustls::ALL_VERSIONS,
            alpn: Vec::new(),
        }
    }

    fn alpn(mut self, name: &str) -> Self {
        self.alpn.push(name.as_bytes().to_vec());
        self
    }

    async fn dial(&self, rig: &Rig, name: &str) -> std::io::Result<TlsStream<TcpStream>> {
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let mut config = ClientConfig::builder_with_provider(provider)
            .with_protocol_versions(self.versions)
            .unwrap()
            .with_root_certificates(self.roots.clone())
            .with_no_client_auth();
        config.alpn_protocols.clone_from(&self.alpn);
        let stream = TcpStream::connect(rig.addr).await?;
        let name = ServerName::try_from(name.to_owned()).unwrap();
        TlsConnector::from(Arc::new(config)).connect(name, stream).await
    }
}

fn leaf(stream: &TlsStream<TcpStream>) -> CertificateDer<'static> {
    stream.get_ref().1.peer_certificates().unwrap()[0]
        .clone()
        .into_owned()
}

async fn loads(rig: &Rig) -> (u64, Option<String>) {
    let tls = rig.client.stats().await.unwrap().routes[0].tls.clone().unwrap();
    (tls.loads, tls.problem)
}

fn start() -> Rig {
    Rig::start_with(|options| options.limits.certificate_check = Duration::from_millis(20))
}

#[tokio::test]
async fn each_name_gets_its_certificate_in_both_protocols_and_both_versions() {
    let old = Instance::start("old");
    let rig = start();
    let folder = rig.folder.path();
    let (a, b) = (
        write_certificate(folder, "a", "a.test"),
        write_certificate(folder, "b", "*.b.test"),
    );
    let both = vec![files(folder, "a"), files(folder, "b")];
    rig.route_by(policy(both), &[(STABLE, 10_000, &[old.addr])]).await;
    let dialer = Dialer::new(&[&a, &b]);
    assert_eq!(leaf(&dialer.dial(&rig, "a.test").await.unwrap()), a);
    assert_eq!(leaf(&dialer.dial(&rig, "x.b.test").await.unwrap()), b);
    // The first is for everybody else, who may not like it.
    assert!(dialer.dial(&rig, "c.test").await.is_err());
    for (versions, expected) in [
        (ONLY_12, ProtocolVersion::TLSv1_2),
        (ONLY_13, ProtocolVersion::TLSv1_3),
    ] {
        let dialer = Dialer {
            versions,
            ..Dialer::new(&[&a])
        }
        .alpn("http/1.1");
        let stream = dialer.dial(&rig, "a.test").await.unwrap();
        assert_eq!(stream.get_ref().1.protocol_version(), Some(expected));
        let seen = Visitor::over(stream).get("/fields").await.unwrap().body;
        assert!(seen.contains(r#""x-forwarded-proto": "https""#), "{seen}");
        assert!(
            seen.contains(r#""forwarded": "for=127.0.0.1;proto=https""#),
            "{seen}"
        );
    }
    let stream = Dialer::new(&[&a])
        .alpn("h2")
        .alpn("http/1.1")
        .dial(&rig, "a.test")
        .await
        .unwrap();
    assert_eq!(stream.get_ref().1.alpn_protocol(), Some(&b"h2"[..]));
    let (mut caller, _) = Caller::over(stream).await;
    assert_eq!(caller.get("/").await.unwrap().2, "old");
    // Plain words are no handshake, and nothing is served.
    let mut visitor = Visitor::connect(rig.addr).await.unwrap();
    assert!(visitor.get("/").await.is_err());
    rig.stop().await;
}

#[tokio::test]
async fn renewed_certificates_are_served_and_broken_ones_are_not() {
    let old = Instance::start("old");
    let rig = start();
    let folder = rig.folder.path();
    let first = write_certificate(folder, "a", "a.test");
    rig.route_by(policy(vec![files(folder, "a")]), &[(STABLE, 10_000, &[old.addr])])
        .await;
    assert_eq!(loads(&rig).await, (1, None));
    let mut before = Visitor::over(Dialer::new(&[&first]).dial(&rig, "a.test").await.unwrap());
    before.get("/").await.unwrap();

    std::fs::write(folder.join("a.crt"), "half a file").unwrap();
    eventually("it is reported", async || loads(&rig).await.1.is_some()).await;
    let problem = loads(&rig).await.1.unwrap();
    assert!(problem.contains("a.crt holds no certificate"), "{problem}");
    assert_eq!(
        leaf(&Dialer::new(&[&first]).dial(&rig, "a.test").await.unwrap()),
        first
    );

    let second = write_certificate(folder, "a", "a.test");
    eventually("it is served", async || {
        loads(&rig).await.0 > 1 && loads(&rig).await.1.is_none()
    })
    .await;
    assert_eq!(
        leaf(&Dialer::new(&[&second]).dial(&rig, "a.test").await.unwrap()),
        second
    );
    // Who is connected stays so.
    assert_eq!(before.get("/").await.unwrap().body, "old");

    // A table that changes nothing about it keeps what is loaded.
    rig.route_by(policy(vec![files(folder, "a")]), &[(STABLE, 10_000, &[old.addr])])
        .await;
    assert!(loads(&rig).await.0 > 1);
    rig.stop().await;
}

#[tokio::test]
async fn a_table_with_files_that_cannot_be_used_is_refused_and_names_no_key() {
    let old = Instance::start("old");
    let rig = start();
    let folder = rig.folder.path();
    write_certificate(folder, "a", "a.test");
    write_certificate(folder, "b", "b.test");
    std::fs::copy(folder.join("a.crt"), folder.join("mixed.crt")).unwrap();
    std::fs::copy(folder.join("b.key"), folder.join("mixed.key")).unwrap();
    std::fs::copy(folder.join("a.crt"), folder.join("keyless.crt")).unwrap();
    std::fs::copy(folder.join("a.crt"), folder.join("keyless.key")).unwrap();
    for (certificates, expected) in [
        (vec![files(folder, "none")], "cannot read"),
        (
            vec![files(folder, "a"), files(folder, "mixed")],
            "is not that of the certificate",
        ),
        (vec![files(folder, "keyless")], "no private key"),
        (vec![], "without a certificate"),
    ] {
        let mut table = table(rig.addr, &[(STABLE, 10_000, &[old.addr])]);
        table.services[0].policy = policy(certificates);
        let request = PublishRequest {
            fence: fence("store", 1),
            expected_serial: 0,
            adopt: false,
            table,
        };
        let Err(ClientError::Refused(Refusal::InvalidTable { what })) = rig.client.publish(&request).await
        else {
            panic!("{expected}: it was not refused");
        };
        assert!(what.contains(expected) && !what.contains("PRIVATE"), "{what}");
    }
    rig.stop().await;
}

#[tokio::test]
async fn a_proxy_that_comes_back_waits_for_a_certificate_that_is_broken() {
    let old = Instance::start("old");
    let rig = start();
    let certificate = write_certificate(rig.folder.path(), "a", "a.test");
    let tls = policy(vec![files(rig.folder.path(), "a")]);
    rig.route_by(tls, &[(STABLE, 10_000, &[old.addr])]).await;
    let path = rig.folder.path().join("a.key");
    let whole = std::fs::read(&path).unwrap();
    std::fs::write(&path, "").unwrap();
    let addr = rig.addr;
    let folder = rig.stop().await;
    let rig = Rig::start_on(cutover_os::bind_listener(addr).unwrap(), folder, |options| {
        options.limits.certificate_check = Duration::from_millis(20);
    });
    assert_eq!(loads(&rig).await.0, 0);
    let dialer = Dialer::new(&[&certificate]);
    assert!(dialer.dial(&rig, "a.test").await.is_err());
    std::fs::write(&path, whole).unwrap();
    eventually("it is served", async || dialer.dial(&rig, "a.test").await.is_ok()).await;
    rig.stop().await;
}

#[tokio::test]
async fn a_websocket_goes_over_tls_too() {
    let old = Instance::start("old");
    let rig = start();
    let certificate = write_certificate(rig.folder.path(), "a", "a.test");
    let tls = policy(vec![files(rig.folder.path(), "a")]);
    rig.route_by(tls, &[(STABLE, 10_000, &[old.addr])]).await;
    let stream = Dialer::new(&[&certificate]).dial(&rig, "a.test").await.unwrap();
    let mut visitor = Visitor::over(stream);
    let ask = b"GET /ws HTTP/1.1\r\nHost: a.test\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n";
    visitor.send(ask).await.unwrap();
    assert_eq!(visitor.answer().await.unwrap().status, 101);
    visitor
        .send(b"HTTP/1.1 200 echoed\r\nContent-Length: 4\r\n\r\nping")
        .await
        .unwrap();
    assert_eq!(visitor.answer().await.unwrap().body, "ping");
    drop(visitor);
    eventually("it is closed", async || rig.in_flight(STABLE).await == 0).await;
    rig.stop().await;
}

#[tokio::test]
async fn idle_connections_over_tls_are_closed_when_the_proxy_stops() {
    let old = Instance::start("old");
    let rig = start();
    let certificate = write_certificate(rig.folder.path(), "a", "a.test");
    let tls = policy(vec![files(rig.folder.path(), "a")]);
    rig.route_by(tls, &[(STABLE, 10_000, &[old.addr])]).await;
    let stream = Dialer::new(&[&certificate]).dial(&rig, "a.test").await.unwrap();
    let mut visitor = Visitor::over(stream);
    visitor.get("/").await.unwrap();
    let began = tokio::time::Instant::now();
    rig.stop().await;
    assert!(
        began.elapsed() < Duration::from_secs(8),
        "it was not waited for to the end"
    );
    assert!(visitor.get("/").await.is_err());
}

#[tokio::test]
async fn a_connection_over_tls_rests_between_requests_too() {
    let old = Instance::start("old");
    let rig = Rig::start_with(|options| options.limits.rest_after = Duration::from_millis(1));
    let certificate = write_certificate(rig.folder.path(), "a", "a.test");
    let tls = policy(vec![files(rig.folder.path(), "a")]);
    rig.route_by(tls, &[(STABLE, 10_000, &[old.addr])]).await;
    let stream = Dialer::new(&[&certificate]).dial(&rig, "a.test").await.unwrap();
    let mut visitor = Visitor::over(stream);
    for _ in 0..3 {
        eventually("it is idle", async || {
            rig.client.stats().await.unwrap().idle_connections == 1
        })
        .await;
        assert_eq!(visitor.get("/").await.unwrap().body, "old");
    }
    rig.stop().await;
}
