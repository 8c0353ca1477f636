//! The application behind the port: does it accept, does it answer.

use std::{net::SocketAddr, ops::RangeInclusive};

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};

use super::Finding;

/// A status line is shorter.
const LONGEST_STATUS_LINE: usize = 512;

async fn connect(addr: SocketAddr) -> Result<TcpStream, String> {
    crate::outgoing::connect(addr).await.map_err(|error| format!("{addr} does not accept a connection: {error}"))
}

/// A connection is accepted; it is closed at once.
pub(super) async fn tcp(addr: SocketAddr) -> Finding {
    connect(addr).await.map(|_| "accepts connections".to_owned())
}

/// A request is answered with one of these statuses. Only the first line of the answer is read.
pub(super) async fn http(addr: SocketAddr, path: &str, expected: &RangeInclusive<u16>) -> Finding {
    let mut stream = connect(addr).await?;
    let request = format!("GET {path} HTTP/1.1\r\nHost: {addr}\r\nUser-Agent: ringback\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await.map_err(|error| format!("the request is not taken: {error}"))?;
    let mut answer = Vec::new();
    while !answer.contains(&b'\n') && answer.len() < LONGEST_STATUS_LINE {
        let read = stream.read_buf(&mut answer).await.map_err(|error| format!("the answer breaks off: {error}"))?;
        if read == 0 {
            break;
        }
    }
    let line = answer.split(|byte| *byte == b'\n').next().map(String::from_utf8_lossy).unwrap_or_default();
    let line = line.trim_end();
    let status = line.strip_prefix("HTTP/").and_then(|rest| rest.split_whitespace().nth(1)?.parse::<u16>().ok());
    match status {
        Some(status) if expected.contains(&status) => Ok(format!("answers {status}")),
        Some(status) if expected.start() == expected.end() => {
            Err(format!("answers {status} where {} is expected", expected.start()))
        }
        Some(status) => Err(format!("answers {status} where {} to {} is expected", expected.start(), expected.end())),
        None if line.is_empty() => Err("closes without an answer".to_owned()),
        None => Err(format!("answers `{}`, which is not HTTP", line.chars().take(60).collect::<String>())),
    }
}
