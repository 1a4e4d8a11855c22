//! One conversation with the supervisor.

use std::io;
use std::path::PathBuf;
use std::time::Duration;

use cutover_ports::PortError;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::UnixStream;
use tokio::net::unix::{OwnedReadHalf, OwnedWriteHalf};

use crate::paths::Paths;
use crate::problem;
use crate::protocol::{Hello, PROTOCOL, Request, Response};

/// A living supervisor says hello at once; one that does not within this time hangs or was stopped.
const HELLO_TIMEOUT: Duration = Duration::from_secs(5);

/// Why there is no connection.
pub(crate) enum Reach {
    /// Nobody listens: it can be started.
    Absent,
    /// Somebody does, but it cannot be spoken to.
    Failed(Box<PortError>),
}

/// An open connection on which hello was said. Used for one request and dropped: an answer that nobody waited for
/// cannot be taken for the next one's.
pub(crate) struct Connection {
    read: BufReader<OwnedReadHalf>,
    write: OwnedWriteHalf,
    socket: PathBuf,
    pub(crate) hello: Hello,
}

impl Connection {
    pub(crate) async fn open(paths: &Paths) -> Result<Self, Reach> {
        let socket = paths.socket();
        let fail = |why: &str| Reach::Failed(Box::new(problem::unreachable(&socket, why)));
        let absent_or = |error: io::Error| match error.kind() {
            // Reset: it went while the connection waited to be accepted.
            io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused | io::ErrorKind::ConnectionReset => {
                Reach::Absent
            }
            _ => fail(&error.to_string()),
        };
        let address = paths.socket_address().map_err(absent_or)?;
        let stream = UnixStream::connect(address.path()).await.map_err(absent_or)?;
        let (read, write) = stream.into_split();
        let mut read = BufReader::new(read);
        let mut line = String::new();
        let got = tokio::time::timeout(HELLO_TIMEOUT, read.read_line(&mut line)).await;
        match got {
            Err(_) => return Err(fail("no hello within 5s")),
            // It went between accepting and saying hello.
            Ok(Ok(0) | Err(_)) => return Err(Reach::Absent),
            Ok(Ok(_)) => {}
        }
        #[derive(serde::Deserialize)]
        struct Head {
            protocol: u32,
            pid: Option<u32>,
        }
        let Ok(head) = serde_json::from_str::<Head>(&line) else {
            return Err(fail("it does not say hello as a supervisor does"));
        };
        let hello = match serde_json::from_str::<Hello>(&line) {
            Ok(hello) if head.protocol == PROTOCOL => hello,
            _ => {
                let mut error = problem::protocol(format!(
                    "the running supervisor speaks protocol {}, this program {PROTOCOL}",
                    head.protocol
                ));
                if let Some(pid) = head.pid {
                    // Its children stay and are adopted by the next one.
                    error.diagnostic.help = Some(format!("kill {pid}"));
                }
                return Err(Reach::Failed(Box::new(error)));
            }
        };
        Ok(Self {
            read,
            write,
            socket,
            hello,
        })
    }

    /// Asks and waits for the answer. Before the last byte is sent nothing can have been done; after it, who knows.
    pub(crate) async fn ask(mut self, request: &Request, timeout: Duration) -> Result<Response, PortError> {
        let mut line = serde_json::to_vec(request)
            .map_err(|_| problem::protocol("the request cannot be written as JSON"))?;
        line.push(b'\n');
        let mut answer = String::new();
        let exchange = async {
            self.write
                .write_all(&line)
                .await
                .map_err(|error| problem::unreachable(&self.socket, &error.to_string()))?;
            match self.read.read_line(&mut answer).await {
                Ok(0) => Err(problem::broken_off(&self.socket, "it ended")),
                Ok(_) => Ok(()),
                Err(error) => Err(problem::broken_off(&self.socket, &error.to_string())),
            }
        };
        match tokio::time::timeout(timeout, exchange).await {
            Ok(result) => result?,
            Err(_) => {
                return Err(problem::broken_off(
                    &self.socket,
                    &format!("no answer within {}s", timeout.as_secs()),
                ));
            }
        }
        match serde_json::from_str(&answer) {
            Ok(Response::Refused(refusal)) => Err(refusal.into()),
            Ok(response) => Ok(response),
            Err(_) => Err(problem::broken_off(&self.socket, "its answer is not understood")),
        }
    }
}
