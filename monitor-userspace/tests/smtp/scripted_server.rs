//! A small SMTP server of our own, for what real ones do not do on request: hang up after the final dot, ask for a
//! login, show certificates.

use std::{
    collections::VecDeque,
    net::SocketAddr,
    sync::{Arc, Mutex},
};

use tokio::{
    io::{AsyncBufReadExt, AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, BufReader},
    net::{TcpListener, TcpStream},
    sync::Notify,
};
use tokio_rustls::{
    TlsAcceptor,
    rustls::{
        ServerConfig,
        pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
    },
};

/// Whether and when it speaks TLS.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Encryption {
    Never,
    StartTls,
    FromTheStart,
}

/// What it does with the next message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum AfterTheDot {
    /// Keeps the message and hangs up without an answer.
    HangUp,
    /// Accepts it once the test says so.
    AcceptLate,
    /// Answers with this.
    Say(&'static str),
}

/// One message that it took.
#[derive(Clone, Debug)]
pub(crate) struct Taken {
    pub(crate) sender: String,
    pub(crate) data: String,
    pub(crate) encrypted: bool,
    /// The argument of AUTH, if there was one.
    pub(crate) login: Option<String>,
}

/// Runs until the test's runtime ends.
#[derive(Clone)]
pub(crate) struct ScriptedServer {
    pub(crate) addr: SocketAddr,
    shared: Arc<Shared>,
}

struct Shared {
    tls: Encryption,
    acceptor: TlsAcceptor,
    script: Mutex<VecDeque<AfterTheDot>>,
    taken: Mutex<Vec<Taken>>,
    sessions: Mutex<usize>,
    arrived: Notify,
    late: Notify,
}

pub(crate) trait Stream: AsyncRead + AsyncWrite + Unpin + Send {}
impl<T: AsyncRead + AsyncWrite + Unpin + Send> Stream for T {}

impl ScriptedServer {
    /// `script`: what happens to the first messages; later ones are accepted.
    pub(crate) async fn start(tls: Encryption, script: impl IntoIterator<Item = AfterTheDot>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let shared = Arc::new(Shared {
            tls,
            acceptor: acceptor(),
            script: Mutex::new(script.into_iter().collect()),
            taken: Mutex::default(),
            sessions: Mutex::default(),
            arrived: Notify::new(),
            late: Notify::new(),
        });
        let server = Self { addr: listener.local_addr().unwrap(), shared: Arc::clone(&shared) };
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                *shared.sessions.lock().unwrap() += 1;
                tokio::spawn(session(stream, Arc::clone(&shared)));
            }
        });
        server
    }

    pub(crate) fn taken(&self) -> Vec<Taken> {
        self.shared.taken.lock().unwrap().clone()
    }

    /// Waits until a message came.
    pub(crate) async fn arrival(&self) {
        self.shared.arrived.notified().await;
    }

    /// Lets the message that is to be accepted late be accepted.
    pub(crate) fn accept_late(&self) {
        self.shared.late.notify_one();
    }

    pub(crate) fn sessions(&self) -> usize {
        *self.shared.sessions.lock().unwrap()
    }
}

pub(crate) fn acceptor() -> TlsAcceptor {
    let certificate = CertificateDer::from_pem_slice(include_bytes!("server.pem")).unwrap();
    let key = PrivateKeyDer::from_pem_slice(include_bytes!("server.key")).unwrap();
    let config = ServerConfig::builder_with_provider(tokio_rustls::rustls::crypto::ring::default_provider().into())
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certificate], key)
        .unwrap();
    TlsAcceptor::from(Arc::new(config))
}

/// `None`: the client went, or a handshake failed.
async fn session(stream: TcpStream, shared: Arc<Shared>) -> Option<()> {
    stream.set_nodelay(true).ok()?;
    let mut encrypted = shared.tls == Encryption::FromTheStart;
    let stream: Box<dyn Stream> =
        if encrypted { Box::new(shared.acceptor.accept(stream).await.ok()?) } else { Box::new(stream) };
    let mut stream = BufReader::new(stream);
    let (mut sender, mut login) = (String::new(), None);
    say(&mut stream, "220 scripted").await?;
    loop {
        let mut line = String::new();
        if stream.read_line(&mut line).await.ok()? == 0 {
            return None;
        }
        let line = line.trim_end();
        match line.split(' ').next()? {
            "EHLO" if shared.tls == Encryption::StartTls && !encrypted => {
                say(&mut stream, "250-scripted\r\n250-AUTH PLAIN LOGIN\r\n250 STARTTLS").await?;
            }
            "EHLO" => say(&mut stream, "250-scripted\r\n250 AUTH PLAIN LOGIN").await?,
            "STARTTLS" => {
                say(&mut stream, "220 go ahead").await?;
                stream = BufReader::new(Box::new(shared.acceptor.accept(stream.into_inner()).await.ok()?));
                encrypted = true;
            }
            "AUTH" => {
                login = Some(line.to_owned());
                let right = line == "AUTH PLAIN AG1lAHJpZ2h0"; // me, right
                say(&mut stream, if right { "235 welcome" } else { "535 5.7.8 no" }).await?;
            }
            "MAIL" => {
                line.clone_into(&mut sender);
                say(&mut stream, "250 fine").await?;
            }
            "DATA" => {
                say(&mut stream, "354 go on").await?;
                let data = read_data(&mut stream).await?;
                let taken = Taken { sender: sender.clone(), data, encrypted, login: login.clone() };
                shared.taken.lock().unwrap().push(taken);
                shared.arrived.notify_one();
                let next = shared.script.lock().unwrap().pop_front();
                match next {
                    Some(AfterTheDot::HangUp) => return None,
                    Some(AfterTheDot::AcceptLate) => {
                        shared.late.notified().await;
                        say(&mut stream, "250 taken").await?;
                    }
                    Some(AfterTheDot::Say(answer)) => say(&mut stream, answer).await?,
                    None => say(&mut stream, "250 taken").await?,
                }
            }
            "QUIT" => {
                say(&mut stream, "221 bye").await?;
                return None;
            }
            _ => say(&mut stream, "250 fine").await?,
        }
    }
}

async fn say(stream: &mut BufReader<Box<dyn Stream>>, answer: &str) -> Option<()> {
    stream.write_all(format!("{answer}\r\n").as_bytes()).await.ok()?;
    stream.flush().await.ok()
}

async fn read_data(stream: &mut BufReader<Box<dyn Stream>>) -> Option<String> {
    let mut data = Vec::new();
    while !data.ends_with(b"\r\n.\r\n") {
        data.push(stream.read_u8().await.ok()?);
    }
    data.truncate(data.len() - 3);
    String::from_utf8(data).ok()
}
