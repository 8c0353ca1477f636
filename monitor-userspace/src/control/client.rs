//! The command line's side of the API.

use std::{
    io,
    path::{Path, PathBuf},
    time::Duration,
};

use http_body_util::{BodyExt as _, Full};
use hyper::{Method, Request, StatusCode, body::Bytes};
use hyper_util::rt::TokioIo;
use serde::{Serialize, de::DeserializeOwned};
use tokio::{
    net::UnixStream,
    time::{sleep, timeout},
};

/// Every answer is there by then, also while a shared database is out of reach.
const LIMIT: Duration = Duration::from_secs(15);

/// The longest that a mail server may take for a test mail, and some more.
const PATIENT: Duration = Duration::from_secs(300);

/// Before another try to connect.
const PAUSE: Duration = Duration::from_millis(50);

/// Why a request was not answered as wished.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// Nobody answers.
    #[error(
        "no ringback daemon answers on {path} ({source}): start it with `ringback run`, or name its configuration with --config"
    )]
    NoDaemon {
        /// Where.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// It is there, and says nothing in time.
    #[error("the daemon on {path} does not answer within {} s: it hangs, is stopped or overloaded; see its log", limit.as_secs())]
    Late {
        /// Where.
        path: PathBuf,
        /// How long was waited.
        limit: Duration,
    },
    /// The daemon said no.
    #[error("{0}")]
    Refused(String),
    /// The conversation broke off.
    #[error("the daemon on {path} broke off: {reason}")]
    Broken {
        /// Where.
        path: PathBuf,
        /// Why.
        reason: String,
    },
}

/// Talks to the daemon on one socket.
#[derive(Clone, Debug)]
pub struct Client {
    path: PathBuf,
    limit: Duration,
}

impl Client {
    /// A client of the daemon on the socket at `path`.
    #[must_use]
    pub fn new(path: &Path) -> Self {
        Self { path: path.to_path_buf(), limit: LIMIT }
    }

    /// Whether anybody listens there, and may be talked to or not.
    pub async fn is_answered(&self) -> bool {
        match UnixStream::connect(&self.path).await {
            Ok(_) => true,
            Err(error) => !matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused),
        }
    }

    /// Reads.
    pub async fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T, ClientError> {
        self.call(Method::GET, path, Bytes::new()).await
    }

    /// Changes something.
    pub async fn post<B: Serialize, T: DeserializeOwned>(&self, path: &str, body: &B) -> Result<T, ClientError> {
        self.call(Method::POST, path, self.encode(body)?).await
    }

    /// The same where the daemon itself has to wait for somebody.
    #[must_use]
    pub fn patient(self) -> Self {
        Self { limit: PATIENT, ..self }
    }

    /// Removes something.
    pub async fn delete<T: DeserializeOwned>(&self, path: &str) -> Result<T, ClientError> {
        self.call(Method::DELETE, path, Bytes::new()).await
    }

    fn encode<B: Serialize>(&self, body: &B) -> Result<Bytes, ClientError> {
        serde_json::to_vec(body).map(Bytes::from).map_err(|error| self.broken(error))
    }

    async fn call<T: DeserializeOwned>(&self, method: Method, path: &str, body: Bytes) -> Result<T, ClientError> {
        let late = |_| ClientError::Late { path: self.path.clone(), limit: self.limit };
        timeout(self.limit, self.call_untimed(method, path, body)).await.map_err(late)?
    }

    /// A queue of connections that is full empties.
    async fn connect(&self) -> Result<UnixStream, ClientError> {
        loop {
            match UnixStream::connect(&self.path).await {
                Ok(stream) => return Ok(stream),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => sleep(PAUSE).await,
                Err(source) => return Err(ClientError::NoDaemon { path: self.path.clone(), source }),
            }
        }
    }

    async fn call_untimed<T: DeserializeOwned>(
        &self,
        method: Method,
        path: &str,
        body: Bytes,
    ) -> Result<T, ClientError> {
        let stream = self.connect().await?;
        let (mut sender, connection) =
            hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.map_err(|error| self.broken(error))?;
        let connection = tokio::spawn(connection);
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header("host", "ringback")
            .header("content-type", "application/json")
            .body(Full::new(body))
            .map_err(|error| self.broken(error))?;
        let response = sender.send_request(request).await.map_err(|error| self.broken(error))?;
        let status = response.status();
        let bytes = response.into_body().collect().await.map_err(|error| self.broken(error))?.to_bytes();
        connection.abort();
        if status == StatusCode::OK || status == StatusCode::ACCEPTED {
            return serde_json::from_slice(&bytes).map_err(|error| self.broken(error));
        }
        Err(ClientError::Refused(String::from_utf8_lossy(&bytes).trim().to_owned()))
    }

    fn broken(&self, error: impl std::fmt::Display) -> ClientError {
        ClientError::Broken { path: self.path.clone(), reason: error.to_string() }
    }
}
