//! The `cutover.yaml` of a stage.

/// What differs from test to test.
#[derive(Debug, Clone)]
pub struct Spec {
    /// The strategy's block, indented by two.
    pub strategy: String,
    /// The metrics of the template `guard`, as a list in one line.
    pub metrics: String,
    /// `contract.after`.
    pub contract: String,
    /// Instances of the service.
    pub replicas: u32,
    /// The program of the service; none for the shop.
    pub program: Option<String>,
    /// The path of the readiness probe.
    pub ready: String,
    /// How long a launch may take.
    pub progress_deadline: String,
    /// A folder of releases; none for the shop's.
    pub releases: Option<String>,
    /// The database's URL; none for SQLite in the stage's folder.
    pub database: Option<String>,
    /// `recycleConnections`.
    pub recycle: bool,
}

impl Default for Spec {
    fn default() -> Self {
        Self {
            strategy: "  canary:\n    steps:\n      - setWeight: 50\n      - pause: {duration: 300ms}\n    analysis: {template: guard}\n    scaleDownDelay: 300ms\n".to_owned(),
            metrics: "[sequential: {}]".to_owned(),
            contract: "manual".to_owned(),
            replicas: 2,
            program: None,
            ready: "/ready".to_owned(),
            progress_deadline: "20s".to_owned(),
            releases: None,
            database: None,
            recycle: false,
        }
    }
}

impl Spec {
    pub(crate) fn write(
        &self,
        shop: &str,
        releases: &str,
        folder: &str,
        listen: u16,
        ports: (u16, u16),
    ) -> String {
        let url = self
            .database
            .clone()
            .unwrap_or_else(|| format!("sqlite:{folder}/shop.db"));
        let shop = self.program.as_deref().unwrap_or(shop);
        let releases = self.releases.as_deref().unwrap_or(releases);
        let kind = if url.starts_with("sqlite") {
            "sqlite"
        } else {
            "postgres"
        };
        format!(
            r#"apiVersion: cutover/v1
application: shop
databases:
  main: {{url: "{url}", migrations: "{releases}/{{version}}/migrations/{kind}"{recycle}}}
services:
  api:
    target: {{process: {{command: ["{shop}"], ports: {first}-{last}, stopGrace: 2s}}}}
    replicas: {replicas}
    databases: [main]
    environment: {{DATABASE_URL: "{url}", RELEASE: "{{version}}", STAGE: "{folder}"}}
    health: {{path: {ready}, interval: 300ms, rise: 1, fall: 3, progressDeadline: {progress}}}
    smoke: [{{get: /api/version}}, {{get: /api/db/ping}}]
    router: {{proxy: {{listen: "127.0.0.1:{listen}"}}}}
strategy:
{strategy}analysis:
  guard: {{interval: 200ms, metrics: {metrics}}}
  after: {{baseline: preSwitch, interval: 2s}}
contract: {{after: {contract}}}
drainDeadline: 5s
"#,
            recycle = if self.recycle {
                ", recycleConnections: true"
            } else {
                ""
            },
            first = ports.0,
            last = ports.1,
            replicas = self.replicas,
            ready = self.ready,
            progress = self.progress_deadline,
            strategy = self.strategy,
            metrics = self.metrics,
            contract = self.contract,
        )
    }
}
