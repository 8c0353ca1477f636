//! A DNS server that knows one name.

use std::net::SocketAddr;

use tokio::net::UdpSocket;

/// Answers every question with PTR www.example.net, until the test's runtime ends.
pub(crate) async fn start() -> SocketAddr {
    let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let addr = socket.local_addr().unwrap();
    tokio::spawn(async move {
        let mut query = [0; 512];
        while let Ok((len, from)) = socket.recv_from(&mut query).await {
            // Header and question as they came, without what follows the question; then one answer (RFC 1035, 4.1).
            let question = 12 + query[12..len].iter().position(|byte| *byte == 0).unwrap() + 5;
            let mut answer = query[..question].to_vec();
            answer[2..12].copy_from_slice(&[0x85, 0x80, 0, 1, 0, 1, 0, 0, 0, 0]);
            let name = b"\x03www\x07example\x03net\x00";
            answer.extend([0xc0, 12, 0, 12, 0, 1, 0, 0, 0, 60, 0, name.len() as u8]);
            answer.extend(name);
            socket.send_to(&answer, from).await.unwrap();
        }
    });
    addr
}
