//! A POP3 server that says what a test wants, byte by byte, and what becomes of the mails.
#![expect(clippy::unwrap_used, reason = "tests")]

use std::{fs, net::SocketAddr};

use monitor_core::config::Mailbox;
use tokio::{
    io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader},
    net::TcpListener,
    sync::mpsc,
};

use super::*;

/// Name and wire of each.
type Mails = Vec<(String, Vec<u8>)>;

/// One mailbox whose mails are sent as these wires, already stuffed; deletions count at QUIT.
struct Server {
    addr: SocketAddr,
    mails: Arc<Mutex<Mails>>,
    commands: Arc<Mutex<Vec<String>>>,
}

/// What it does wrong.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Fault {
    None,
    /// Hangs up in the middle of a mail, the first time.
    Cut,
    /// Says of each mail that it has one byte.
    Lies,
    /// Refuses DELE.
    Keeps,
    /// Does not know UIDL.
    NoNames,
    /// Refuses the first mail.
    OneBad,
    /// Says something after its answer to STLS.
    Injects,
}

impl Server {
    async fn start(mails: &[(&str, &[u8])], fault: Fault) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let addr = listener.local_addr().unwrap();
        let mails: Vec<_> = mails.iter().map(|(uid, wire)| ((*uid).to_owned(), wire.to_vec())).collect();
        let server = Self { addr, mails: Arc::new(Mutex::new(mails)), commands: Arc::default() };
        let (mails, commands) = (Arc::clone(&server.mails), Arc::clone(&server.commands));
        tokio::spawn(async move {
            let mut fault = fault;
            while let Ok((stream, _)) = listener.accept().await {
                session(stream, &mails, &commands, fault).await;
                if fault == Fault::Cut {
                    fault = Fault::None;
                }
            }
        });
        server
    }

    fn poller(&self, scheme: &str, largest: u64) -> MailboxPoller {
        let file = tempfile::NamedTempFile::new().unwrap();
        fs::write(file.path(), "secret\n").unwrap();
        let settings = Mailbox {
            pop3: Some(format!("{scheme}://{}", self.addr)),
            pop3_user: Some("me".to_owned()),
            pop3_password_file: Some(file.path().to_owned()),
            largest,
            ..Mailbox::default()
        };
        MailboxPoller::new(Pop3::load(&settings).unwrap().unwrap())
    }

    fn left(&self) -> Vec<String> {
        self.mails.lock().unwrap().iter().map(|(uid, _)| uid.clone()).collect()
    }
}

async fn session(
    stream: tokio::net::TcpStream,
    mails: &Mutex<Mails>,
    commands: &Mutex<Vec<String>>,
    fault: Fault,
) -> Option<()> {
    let mut stream = BufReader::new(stream);
    stream.write_all(b"+OK scripted\r\n").await.ok()?;
    let here = mails.lock().unwrap().clone();
    let mut deleted = Vec::new();
    loop {
        let mut line = String::new();
        if stream.read_line(&mut line).await.ok()? == 0 {
            return None;
        }
        let line = line.trim_end().to_owned();
        commands.lock().unwrap().push(line.clone());
        let mut words = line.split(' ');
        let (command, number) = (words.next()?, words.next().and_then(|number| number.parse::<usize>().ok()));
        let mut answer = b"+OK\r\n".to_vec();
        match (command, number) {
            ("STLS", _) if fault == Fault::Injects => answer.extend_from_slice(b"+OK injected\r\n"),
            ("STLS", _) => answer = b"-ERR no\r\n".to_vec(),
            ("UIDL", _) if fault == Fault::NoNames => answer = b"-ERR unknown\r\n".to_vec(),
            ("RETR", Some(1)) if fault == Fault::OneBad => answer = b"-ERR Message can not load\r\n".to_vec(),
            ("UIDL", _) => {
                for (index, (uid, _)) in here.iter().enumerate() {
                    answer.extend_from_slice(format!("{} {uid}\r\n", index + 1).as_bytes());
                }
                answer.extend_from_slice(b".\r\n");
            }
            ("LIST", _) => {
                for (index, (_, wire)) in here.iter().enumerate() {
                    let size = if fault == Fault::Lies { 1 } else { wire.len() };
                    answer.extend_from_slice(format!("{} {size}\r\n", index + 1).as_bytes());
                }
                answer.extend_from_slice(b".\r\n");
            }
            ("RETR", Some(number)) => {
                let wire = &here[number - 1].1;
                let whole = if fault == Fault::Cut { wire.len() / 2 } else { wire.len() };
                stream.write_all(b"+OK here\r\n").await.ok()?;
                // In small pieces: an end is found across their borders too.
                for piece in wire[..whole].chunks(3) {
                    stream.write_all(piece).await.ok()?;
                    stream.flush().await.ok()?;
                }
                if fault == Fault::Cut {
                    return None;
                }
                answer.clear();
            }
            ("DELE", Some(_)) if fault == Fault::Keeps => answer = b"-ERR no\r\n".to_vec(),
            ("DELE", Some(number)) => deleted.push(here[number - 1].0.clone()),
            ("QUIT", _) => mails.lock().unwrap().retain(|(uid, _)| !deleted.contains(uid)),
            _ => {}
        }
        stream.write_all(&answer).await.ok()?;
        if command == "QUIT" {
            return Some(());
        }
    }
}

/// Passes on what it reads.
struct Passing(mpsc::UnboundedSender<Fetched>, Verdict);

impl Reader for Passing {
    async fn read(&mut self, mail: Fetched) -> Result<Verdict, StoreError> {
        self.0.send(mail).map_err(|_| StoreError::Closed)?;
        Ok(self.1)
    }
}

/// Fetches until `count` mails were read and the visit after them is over.
async fn fetched(server: &Server, largest: u64, verdict: Verdict, count: usize) -> Vec<Fetched> {
    let (read, mut mails) = mpsc::unbounded_channel();
    let cancel = CancellationToken::new();
    let poller = server.poller("pop3", largest);
    let poll = Duration::from_millis(20);
    let run = tokio::spawn(watch(poller, poll, Arc::default(), Passing(read, verdict), cancel.clone()));
    let mut got = Vec::new();
    while got.len() < count {
        got.push(timeout(Duration::from_secs(10), mails.recv()).await.unwrap().unwrap());
    }
    // Two more visits find nothing new.
    let quits = |server: &Server| server.commands.lock().unwrap().iter().filter(|line| *line == "QUIT").count();
    let before = quits(server);
    while verdict == Verdict::Leave && quits(server) < before + 2 {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    cancel.cancel();
    run.await.unwrap();
    while let Ok(more) = mails.try_recv() {
        got.push(more);
    }
    got
}

// proves: F-17b
#[tokio::test]
async fn a_mail_is_fetched_byte_for_byte_and_deleted() {
    let content = b"Subject: x\r\n\r\n.one dot\r\n..two\r\n.\t\r\nbare \n and \r stay\r\n\xff\xfe\x00\r\n\r\n";
    let wire = b"Subject: x\r\n\r\n..one dot\r\n...two\r\n..\t\r\nbare \n and \r stay\r\n\xff\xfe\x00\r\n\r\n.\r\n";
    let server = Server::start(&[("a", wire), ("b", b".\r\n")], Fault::None).await;
    let mails = fetched(&server, 10_000, Verdict::Delete, 2).await;
    assert_eq!(mails[0].content.as_deref(), Ok(&content[..]));
    assert_eq!((mails[0].uid.as_str(), mails[1].content.as_deref()), ("a", Ok(&b""[..])));
    assert_eq!(server.left(), Vec::<String>::new());
}

#[tokio::test]
async fn a_connection_that_breaks_in_a_mail_loses_nothing() {
    let server = Server::start(&[("a", b"half and half\r\n.\r\n")], Fault::Cut).await;
    let mails = fetched(&server, 10_000, Verdict::Delete, 1).await;
    assert_eq!(mails.len(), 1);
    assert_eq!(mails[0].content.as_deref(), Ok(&b"half and half\r\n"[..]));
    assert_eq!(server.left(), Vec::<String>::new());
}

#[tokio::test]
async fn what_is_too_large_is_not_fetched_and_not_asked_for_again() {
    let server = Server::start(&[("big", &[b'x'; 500]), ("small", b"x\r\n.\r\n")], Fault::None).await;
    let mails = fetched(&server, 100, Verdict::Leave, 2).await;
    assert_eq!(mails.len(), 2, "each once: {mails:?}");
    assert_eq!(mails[0].content, Err(Refusal::Larger("big".to_owned(), 100)));
    assert!(!server.commands.lock().unwrap().iter().any(|line| line == "RETR 1" || line.starts_with("DELE")));
    assert_eq!(server.left(), ["big", "small"]);
}

#[tokio::test]
async fn a_mail_that_is_larger_than_the_server_says_is_left_and_the_next_one_read() {
    let big = [&[b'x'; 5000][..], b"\r\n.\r\n"].concat();
    let server = Server::start(&[("big", &big), ("small", b"x\r\n.\r\n")], Fault::Lies).await;
    let mails = fetched(&server, 100, Verdict::Leave, 2).await;
    assert_eq!(mails.len(), 2, "each once: {mails:?}");
    assert_eq!(mails[0].content, Err(Refusal::Larger("big".to_owned(), 100)));
    assert_eq!(mails[1].content.as_deref(), Ok(&b"x\r\n"[..]));
}

#[tokio::test]
async fn a_refused_deletion_is_tried_again_and_the_mail_is_not_read_again() {
    let server = Server::start(&[("a", b"x\r\n.\r\n"), ("b", b"y\r\n.\r\n")], Fault::Keeps).await;
    let mails = fetched(&server, 100, Verdict::Delete, 2).await;
    assert_eq!(mails.iter().map(|mail| mail.uid.as_str()).collect::<Vec<_>>(), ["a", "b"]);
    let poller = server.poller("pop3", 100);
    let (read, mut mails) = mpsc::unbounded_channel();
    let (mut reader, mut memory) = (Passing(read, Verdict::Delete), MailboxMemory::default());
    let asked = |server: &Server| server.commands.lock().unwrap().iter().filter(|line| *line == "DELE 1").count();
    let (before, start) = (asked(&server), Instant::now());
    for _ in 0..2 {
        let mut visit = Visit { mailbox: &poller.mailbox, reader: &mut reader, memory: &mut memory, start };
        visit.run(&CancellationToken::new()).await.unwrap();
    }
    assert_eq!((asked(&server) - before, server.left()), (2, vec!["a".to_owned(), "b".to_owned()]));
    let read = std::iter::from_fn(|| mails.try_recv().ok()).count();
    assert_eq!(read, 2, "each once");
}

#[tokio::test]
async fn without_uidl_a_mail_is_known_by_its_content() {
    let server = Server::start(&[("-", b"x\r\n.\r\n"), ("-", b"y\r\n.\r\n")], Fault::NoNames).await;
    let mails = fetched(&server, 100, Verdict::Delete, 2).await;
    assert!(mails.iter().all(|mail| mail.uid.starts_with("sha256 ")) && mails[0].uid != mails[1].uid, "{mails:?}");
    assert_eq!(server.left(), Vec::<String>::new());
}

#[tokio::test]
async fn a_mail_that_the_server_refuses_is_named_once_and_the_next_one_read() {
    let server = Server::start(&[("bad", b"-\r\n.\r\n"), ("good", b"y\r\n.\r\n")], Fault::OneBad).await;
    let mails = fetched(&server, 100, Verdict::Leave, 2).await;
    let why = "RETR refused: -ERR Message can not load".to_owned();
    assert_eq!(mails.len(), 2, "{mails:?}");
    assert_eq!(mails[0].content, Err(Refusal::Unfetched("bad".to_owned(), why)));
    assert_eq!(mails[1].content.as_deref(), Ok(&b"y\r\n"[..]));
}

#[tokio::test]
async fn without_encryption_there_is_no_password() {
    for (fault, expected) in [(Fault::None, "STLS refused"), (Fault::Injects, "bytes in clear")] {
        let server = Server::start(&[], fault).await;
        let poller = server.poller("pop3+starttls", 100);
        let Err(error) = Pop3Session::open(&poller.mailbox).await else { panic!("a session") };
        assert!(error.to_string().contains(expected), "{error}");
        assert!(server.commands.lock().unwrap().iter().all(|line| line == "STLS"));
    }
}
