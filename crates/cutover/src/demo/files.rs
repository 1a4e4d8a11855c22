//! What the demo puts into its folder: three releases and a `cutover.yaml`. The migrations come with the binary.

use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

/// A migration of the example application, as the release that brings it has it.
struct Script {
    /// The first release that has it.
    since: &'static str,
    name: &'static str,
    sqlite: &'static str,
    postgres: &'static str,
}

macro_rules! script {
    ($since:literal, $name:literal) => {
        Script {
            since: $since,
            name: $name,
            sqlite: include_str!(concat!(
                "../../../../examples/shop/releases/",
                $since,
                "/migrations/sqlite/",
                $name
            )),
            postgres: include_str!(concat!(
                "../../../../examples/shop/releases/",
                $since,
                "/migrations/postgres/",
                $name
            )),
        }
    };
}

const SCRIPTS: [Script; 7] = [
    script!("1.0.0", "001_create_users.up.sql"),
    script!("1.0.0", "001_create_users.down.sql"),
    script!("1.1.0", "002_full_name.up.sql"),
    script!("1.1.0", "002_full_name.down.sql"),
    script!("1.1.0", "003_backfill_full_name.up.sql"),
    script!("1.1.0", "003_backfill_full_name.down.sql"),
    script!("1.1.0", "004_drop_old_names.up.sql"),
];

const CHANGELOG: &str = include_str!("../../../../examples/shop/CHANGELOG.md");

/// The releases of the demo, oldest first.
pub(super) const VERSIONS: [&str; 3] = ["1.0.0", "1.1.0", "1.2.0"];

/// Which database the demo runs on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Sqlite,
    Postgres,
}

/// What differs from run to run.
pub(super) struct Setting<'a> {
    /// This program: instances are this same binary.
    pub(super) program: &'a Path,
    pub(super) kind: Kind,
    /// The database; kept in a file of mode 0600, never in an argument.
    pub(super) url: &'a str,
    /// Where clients connect.
    pub(super) listen: u16,
    /// Instances' ports.
    pub(super) ports: (u16, u16),
}

/// Writes everything.
pub(super) fn write(folder: &Path, setting: &Setting<'_>) -> std::io::Result<()> {
    for version in VERSIONS {
        let migrations = folder.join("releases").join(version).join("migrations");
        std::fs::create_dir_all(&migrations)?;
        for script in SCRIPTS.iter().filter(|script| script.since <= version) {
            let text = match setting.kind {
                Kind::Sqlite => script.sqlite,
                Kind::Postgres => script.postgres,
            };
            std::fs::write(migrations.join(script.name), text)?;
        }
    }
    std::fs::write(folder.join("CHANGELOG.md"), CHANGELOG)?;
    std::fs::write(folder.join("cutover.yaml"), yaml(setting))?;
    let mut secret = std::fs::OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(folder.join("database-url"))?;
    writeln!(secret, "{}", setting.url)
}

fn yaml(setting: &Setting<'_>) -> String {
    let program = serde_json::Value::from(setting.program.to_string_lossy().into_owned());
    let (first, last) = setting.ports;
    let listen = setting.listen;
    format!(
        r#"# The demo's application. The same for a real one is written by: cutover init
apiVersion: cutover/v1
application: shop
changelog: ./CHANGELOG.md

databases:
  main:
    url: "${{file:database-url}}"
    migrations: ./releases/{{version}}/migrations

services:
  api:
    target:
      process: {{command: [{program}, demo-shop], ports: {first}-{last}, stopGrace: 5s}}
    replicas: 2
    databases: [main]
    environment:
      DATABASE_URL: "${{file:database-url}}"
      # One program behaves as every release; this is what tells it which one it is.
      RELEASE: "{{version}}"
    health: {{path: /ready, interval: 500ms, rise: 2, fall: 3, progressDeadline: 30s}}
    smoke: [{{get: /api/version}}, {{get: /api/db/ping}}]
    router: {{proxy: {{listen: "127.0.0.1:{listen}"}}}}

strategy:
  canary:
    analysis: {{template: well}}
    steps:
      - setWeight: 10
      - pause: {{duration: 6s}}
      - setWeight: 50
      - pause: {{duration: 6s}}
    scaleDownDelay: 4s

analysis:
  well:
    interval: 500ms
    metrics:
      # Looked at all the time, with one false alarm in a thousand good releases.
      - sequential: {{alpha: 0.001}}
      - errorRate: {{max: 5}}

contract: {{after: 4s}}
drainDeadline: 10s
"#
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_demo_has_every_migration_of_the_example() {
        let releases = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/shop/releases");
        let folder = tempfile::tempdir().unwrap();
        for (kind, name) in [(Kind::Sqlite, "sqlite"), (Kind::Postgres, "postgres")] {
            let to = folder.path().join(name);
            std::fs::create_dir(&to).unwrap();
            let setting = Setting {
                program: Path::new("/x"),
                kind,
                url: "sqlite:x.db",
                listen: 1,
                ports: (20_000, 20_040),
            };
            write(&to, &setting).unwrap();
            for version in VERSIONS {
                let original = releases.join(version).join("migrations").join(name);
                let copy = to.join("releases").join(version).join("migrations");
                let list = |folder: &Path| {
                    let mut all: Vec<_> = std::fs::read_dir(folder)
                        .unwrap()
                        .map(|entry| entry.unwrap())
                        .map(|entry| (entry.file_name(), std::fs::read_to_string(entry.path()).unwrap()))
                        .collect();
                    all.sort();
                    all
                };
                assert_eq!(list(&original), list(&copy), "{version} {name}");
            }
            let text = std::fs::read_to_string(to.join("cutover.yaml")).unwrap();
            let application = cutover_spec::parse("cutover.yaml", &text).unwrap();
            assert_eq!(application.services.len(), 1);
        }
    }
}
