//! The application behind the port: does it accept, does it answer.

use std::net::SocketAddr;

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};

use super::Finding;

/// A status line is shorter.
const LONGEST_STATUS_LINE: usize = 512;

async fn connect(addr: SocketAddr) -> Result<TcpStream, String> {
    TcpStream::connect(addr).await.map_err(|error| format!("{addr} does not accept a connection: {error}"))
}

/// A connection is accepted; it is closed at once.
pub(super) async fn tcp(addr: SocketAddr) -> Finding {
    connect(addr).await.map(|_| "accepts connections".to_owned())
}

/// A request is answered with this status. Only the first line of the answer is read.
pub(super) async fn http(addr: SocketAddr, path: &str, expected: u16) -> Finding {
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
        Some(status) if status == expected => Ok(format!("answers {status}")),
        Some(status) => Err(format!("answers {status} where {expected} is expected")),
        None if line.is_empty() => Err("closes without an answer".to_owned()),
        None => Err(format!("answers `{}`, which is not HTTP", line.chars().take(60).collect::<String>())),
    }
}
