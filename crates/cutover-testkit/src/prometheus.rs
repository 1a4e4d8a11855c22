//! An ephemeral Prometheus server.

use std::path::Path;
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::keeper::Keeper;
use crate::{TestkitError, free_port, require_or_skip};

/// A server that scrapes nothing, on a port of its own: expressions such as `vector(0.25)` need no data.
///
/// It is stopped and its folder removed when the test's process ends, in whatever way.
#[derive(Debug)]
pub struct PrometheusServer {
    keeper: Keeper,
    port: u16,
}

/// Waits for the end of its input or of the server, whichever comes first; then nothing of the server is left.
const KEEPER: &str = r#"
"$1/prometheus" --config.file="$2/prometheus.yml" --storage.tsdb.path="$2/data" --web.listen-address="127.0.0.1:$3" \
  </dev/null &
server=$!
read -r _
kill -KILL $server 2>/dev/null
wait $server
rm -rf "$2"
"#;

impl PrometheusServer {
    /// Starts a server; none when Prometheus is not installed.
    ///
    /// # Errors
    /// When it never answers.
    pub async fn start() -> Result<Option<Self>, TestkitError> {
        let Some(programs) = require_or_skip("prometheus") else {
            return Ok(None);
        };
        let mut last = String::new();
        for _ in 0..5 {
            match Self::try_start(&programs, free_port()).await? {
                Ok(server) => return Ok(Some(server)),
                Err(said) => last = said,
            }
        }
        Err(TestkitError::Silent(last))
    }

    async fn try_start(programs: &Path, port: u16) -> Result<Result<Self, String>, TestkitError> {
        let folder = tempfile::Builder::new()
            .prefix("cutover-prometheus-")
            .tempdir()?
            .keep();
        std::fs::write(folder.join("prometheus.yml"), "scrape_configs: []\n")?;
        let number = port.to_string();
        let arguments = [programs.as_os_str(), folder.as_os_str(), number.as_ref()];
        let mut keeper = Keeper::start(KEEPER, &folder, None, arguments)?;
        // Half a second as a rule; a busy machine may need much longer.
        for _ in 0..1_200 {
            if is_ready(port).await.unwrap_or(false) {
                return Ok(Ok(Self { keeper, port }));
            }
            if keeper.has_ended() {
                break;
            }
            tokio::time::sleep(Duration::from_millis(25)).await;
        }
        Ok(Err(format!("nothing ready on port {port}")))
    }

    /// Its address, `http://127.0.0.1:…`.
    #[must_use]
    pub fn address(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// Starts it again at the same address, after it was ended; nothing of what it knew is left.
    ///
    /// # Errors
    /// When it never answers.
    pub async fn start_again(&mut self) -> Result<(), TestkitError> {
        self.kill();
        let Some(programs) = require_or_skip("prometheus") else {
            return Err(TestkitError::Silent("prometheus is gone".to_owned()));
        };
        match Self::try_start(&programs, self.port).await? {
            Ok(server) => *self = server,
            Err(said) => return Err(TestkitError::Silent(said)),
        }
        Ok(())
    }

    /// Ends it without warning.
    pub fn kill(&mut self) {
        self.keeper.end();
    }
}

async fn is_ready(port: u16) -> std::io::Result<bool> {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).await?;
    stream.write_all(b"GET /-/ready HTTP/1.0\r\n\r\n").await?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await?;
    Ok(answer.starts_with("HTTP/1.0 200"))
}
