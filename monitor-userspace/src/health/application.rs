//! The application behind the port: does it accept, does it answer.

use std::{net::SocketAddr, ops::RangeInclusive};

use tokio::{
    io::{AsyncBufRead, AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader},
    net::TcpStream,
};

use super::Finding;

/// A line of a head is shorter. RFC 9112 section 3 recommends that 8,000 bytes are supported.
const LONGEST_LINE: usize = 8 * 1024;

/// Answers before the final one. A server that sends more is not taken at its word.
const INTERIM: usize = 64;

async fn connect(addr: SocketAddr) -> Result<TcpStream, String> {
    crate::outgoing::connect(addr).await.map_err(|error| format!("{addr} does not accept a connection: {error}"))
}

/// A connection is accepted; it is closed at once.
pub(super) async fn tcp(addr: SocketAddr) -> Finding {
    connect(addr).await.map(|_| "accepts connections".to_owned())
}

/// A request is answered with one of these statuses. Of the final answer only the first line is read.
pub(super) async fn http(addr: SocketAddr, path: &str, expected: &RangeInclusive<u16>) -> Finding {
    let mut stream = connect(addr).await?;
    let request = format!("GET {path} HTTP/1.1\r\nHost: {addr}\r\nUser-Agent: ringback\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await.map_err(|error| format!("the request is not taken: {error}"))?;
    let line = final_status_line(&mut BufReader::new(stream)).await?;
    let status = status(&line);
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

/// The first line of the final answer. A server may send any number of answers before it (RFC 9110 section 15.2), such as
/// 103; a protocol is switched (101) for nobody who has not asked, so that is final.
async fn final_status_line(answer: &mut (impl AsyncBufRead + Unpin)) -> Result<String, String> {
    for _ in 0..=INTERIM {
        let first = line(answer).await?;
        if !status(&first).is_some_and(|status| (100..200).contains(&status) && status != 101) {
            return Ok(first);
        }
        // The rest of this head; the next answer follows the empty line.
        let mut lines = 0;
        while !line(answer).await?.is_empty() {
            lines += 1;
            if lines > INTERIM {
                return Err(format!("answers {first} with a head without an end"));
            }
        }
    }
    Err(format!("gives more than {INTERIM} answers before the final one"))
}

/// A line without its end; what an answer ends with, if it has none.
async fn line(answer: &mut (impl AsyncBufRead + Unpin)) -> Result<String, String> {
    let mut line = Vec::new();
    answer
        .take(LONGEST_LINE as u64)
        .read_until(b'\n', &mut line)
        .await
        .map_err(|error| format!("the answer breaks off: {error}"))?;
    if line.len() == LONGEST_LINE {
        return Err("answers with an endless line".to_owned());
    }
    Ok(String::from_utf8_lossy(&line).trim_end().to_owned())
}

fn status(line: &str) -> Option<u16> {
    line.strip_prefix("HTTP/").and_then(|rest| rest.split_whitespace().nth(1)?.parse().ok())
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    async fn read(answer: &[u8]) -> Result<String, String> {
        final_status_line(&mut &answer[..]).await
    }

    #[tokio::test]
    async fn the_final_answer_counts() {
        let hint = "HTTP/1.1 103 Early Hints\r\nLink: </a.css>\r\n\r\n";
        let cases = [
            ("HTTP/1.1 200 OK\r\n".to_owned(), "HTTP/1.1 200 OK"),
            (format!("{hint}HTTP/1.1 200 OK\r\n\r\n"), "HTTP/1.1 200 OK"),
            (format!("HTTP/1.1 100 Continue\n\n{}HTTP/1.1 503 No\n", hint.repeat(60)), "HTTP/1.1 503 No"),
            (format!("{hint}HTTP/1.1 101 Switching Protocols\r\n\r\n"), "HTTP/1.1 101 Switching Protocols"),
            (hint.to_owned(), ""),
            ("SSH-2.0-x\r\n".to_owned(), "SSH-2.0-x"),
            (String::new(), ""),
        ];
        for (answer, line) in cases {
            assert_eq!(read(answer.as_bytes()).await.unwrap(), line, "{answer}");
        }
        let endless =
            [hint.repeat(1000), format!("HTTP/1.1 103 x\r\n{}", "A: b\r\n".repeat(1000)), "x".repeat(100_000)];
        for answer in endless {
            assert!(read(answer.as_bytes()).await.is_err(), "{}", &answer[..40]);
        }
    }
}
