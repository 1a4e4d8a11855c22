//! Whether Redis answers. The shop keeps nothing there; it only says how Redis is.

use std::io;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::config::RedisAddress;

const DEADLINE: Duration = Duration::from_secs(1);

/// Sends `PING` and waits for `+PONG`.
pub(crate) async fn ping(address: &RedisAddress) -> io::Result<()> {
    let exchange = async {
        let mut stream = TcpStream::connect((address.host.as_str(), address.port)).await?;
        stream.write_all(b"PING\r\n").await?;
        let mut answer = [0; 5];
        stream.read_exact(&mut answer).await?;
        if &answer == b"+PONG" {
            Ok(())
        } else {
            Err(io::Error::other("something else than Redis answered"))
        }
    };
    tokio::time::timeout(DEADLINE, exchange).await?
}
