//! What the driver says went wrong, as the port's few kinds.

use cutover_ports::CommandError;
use mongodb::error::{Error, ErrorKind};

/// What was not sent for certain is told apart from what may have been.
pub(super) fn told(error: &Error) -> CommandError {
    let said = words(error);
    match &*error.kind {
        ErrorKind::Command(server) => CommandError::Server {
            code: server.code,
            said: server.message.clone(),
        },
        ErrorKind::Authentication { .. } => CommandError::Login(said),
        ErrorKind::ServerSelection { .. }
        | ErrorKind::DnsResolve { .. }
        | ErrorKind::ConnectionPoolCleared { .. }
        | ErrorKind::InvalidTlsConfig { .. } => CommandError::Unreachable(said),
        ErrorKind::InvalidArgument { .. } | ErrorKind::BsonSerialization(_) => CommandError::NotOne(said),
        _ => CommandError::Lost(said),
    }
}

/// Its words, without the list of labels that follows them.
pub(super) fn words(error: &Error) -> String {
    let said = error.kind.to_string();
    said.lines().next().unwrap_or_default().to_owned()
}
