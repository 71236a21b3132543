//! A server's `/api/v1`, asked over HTTP: paths and JSON in, JSON out. What is asked, and how the answer
//! looks on a screen, is elsewhere.

use std::fs;
use std::io::Read;
use std::path::PathBuf;

use serde::Serialize;
use serde::de::DeserializeOwned;
use updraft_server::api::wire::{Paged, Problem};
use updraft_server::config::Env as _;
use ureq::http::{Method, Request, Response, StatusCode};
use ureq::{AsSendBody, Body, SendBody};

use crate::failure::Failure;
use crate::files;
use crate::serve::ProcessEnv;

/// Longest answer in bytes that is read: one piece of a list has at most 1000 items.
const MAX_ANSWER: u64 = 64 << 20;
/// Items of a list that are asked for at once: the most that the server gives.
const PIECE: u32 = 1000;

/// Which server, and who asks.
#[derive(Debug, clap::Args)]
pub(crate) struct ApiArgs {
    #[arg(
        long,
        global = true,
        value_name = "URL",
        help = "The server's address [default: UPDRAFT_SERVER, else http://127.0.0.1:8000]"
    )]
    server: Option<String>,
    /// File that holds the token [default: the token itself in `UPDRAFT_TOKEN`].
    #[arg(long, global = true, value_name = "FILE")]
    token_file: Option<PathBuf>,
    /// Print one JSON document.
    #[arg(long, global = true)]
    pub(crate) json: bool,
}

/// A server and the right to ask it.
pub(crate) struct Client {
    agent: ureq::Agent,
    base: String,
    token: String,
}

/// A path below `/api/v1`, each piece of it escaped.
#[derive(Clone, Debug, Default)]
pub(crate) struct Path {
    text: String,
    has_query: bool,
}

impl ApiArgs {
    /// The client that these arguments and the environment describe. Nothing is sent yet.
    pub(crate) fn client(&self) -> Result<Client, Failure> {
        let base = self.server.clone().or_else(|| ProcessEnv.var("UPDRAFT_SERVER"));
        let base = base.unwrap_or_else(|| "http://127.0.0.1:8000".to_owned());
        if !base.starts_with("http://") {
            return Err(Failure::usage(format_args!("{base} does not start with http://")));
        }
        let token = match &self.token_file {
            Some(path) => fs::read_to_string(path).map_err(|e| files::unreadable(path, &e))?,
            None => ProcessEnv.var("UPDRAFT_TOKEN").ok_or_else(|| {
                Failure::usage(
                    "the server wants a token: give --token-file or UPDRAFT_TOKEN; `updraft tokens \
                     create` makes one",
                )
            })?,
        };
        let config = ureq::Agent::config_builder().http_status_as_error(false).proxy(None).build();
        Ok(Client {
            agent: config.into(),
            base: base.trim_end_matches('/').to_owned(),
            token: token.trim().to_owned(),
        })
    }
}

impl Client {
    /// Asks for one thing.
    pub(crate) fn get<T: DeserializeOwned>(&self, path: &Path) -> Result<T, Failure> {
        self.answer(&mut self.send(Method::GET, path, ())?)
    }

    /// Asks for one thing that there may not be.
    pub(crate) fn find<T: DeserializeOwned>(&self, path: &Path) -> Result<Option<T>, Failure> {
        let mut response = self.send(Method::GET, path, ())?;
        match response.status() {
            StatusCode::NOT_FOUND => Ok(None),
            _ => self.answer(&mut response).map(Some),
        }
    }

    /// Asks for a whole list, piece by piece.
    pub(crate) fn all<T: DeserializeOwned>(&self, path: &Path) -> Result<Vec<T>, Failure> {
        let path = path.clone().query("limit", &PIECE.to_string());
        let mut piece: Paged<T> = self.get(&path)?;
        let mut items = piece.items;
        while let Some(cursor) = piece.next.take() {
            piece = self.get(&path.clone().query("cursor", &cursor))?;
            items.append(&mut piece.items);
        }
        Ok(items)
    }

    /// Sends a JSON text, and gives the answer.
    pub(crate) fn change<T: DeserializeOwned>(
        &self,
        method: Method,
        path: &Path,
        body: &impl Serialize,
    ) -> Result<T, Failure> {
        let body = serde_json::to_vec(body).map_err(Failure::no)?;
        self.answer(&mut self.send(method, path, body)?)
    }

    /// Removes something.
    pub(crate) fn delete(&self, path: &Path) -> Result<(), Failure> {
        let mut response = self.send(Method::DELETE, path, ())?;
        if response.status().is_success() { Ok(()) } else { Err(problem(&mut response)) }
    }

    /// Sends a file of `length` bytes, and gives the answer.
    pub(crate) fn upload<T: DeserializeOwned>(
        &self,
        path: &Path,
        mut file: impl Read,
        length: u64,
    ) -> Result<T, Failure> {
        let request = self.request(Method::POST, path).header("content-length", length);
        let request = request.header("content-type", "application/octet-stream");
        let request = request.body(SendBody::from_reader(&mut file)).map_err(Failure::no)?;
        let response = self.agent.run(request);
        self.answer(&mut response.map_err(|error| self.unreached(&error))?)
    }

    fn send(
        &self,
        method: Method,
        path: &Path,
        body: impl AsSendBody,
    ) -> Result<Response<Body>, Failure> {
        let request = self.request(method, path).header("content-type", "application/json");
        let request = request.body(body).map_err(Failure::usage)?;
        self.agent.run(request).map_err(|error| self.unreached(&error))
    }

    fn request(&self, method: Method, path: &Path) -> ureq::http::request::Builder {
        Request::builder()
            .method(method)
            .uri(format!("{}/api/v1{}", self.base, path.text))
            .header("authorization", format!("Bearer {}", self.token))
    }

    fn answer<T: DeserializeOwned>(&self, response: &mut Response<Body>) -> Result<T, Failure> {
        if !response.status().is_success() {
            return Err(problem(response));
        }
        let bytes = response.body_mut().with_config().limit(MAX_ANSWER).read_to_vec();
        let bytes = bytes.map_err(|error| self.unreached(&error))?;
        serde_json::from_slice(&bytes).map_err(|error| {
            Failure::usage(format_args!("{} does not answer as Updraft does: {error}", self.base))
        })
    }

    fn unreached(&self, error: &ureq::Error) -> Failure {
        Failure::usage(format_args!("cannot reach {}: {error}", self.base))
    }
}

impl Path {
    /// `/a/b/…` for these pieces.
    pub(crate) fn of(pieces: &[&str]) -> Self {
        let mut text = String::new();
        for piece in pieces {
            text.push('/');
            text.push_str(&escaped(piece));
        }
        Self { text, has_query: false }
    }

    /// With one more value in its query.
    pub(crate) fn query(mut self, name: &str, value: &str) -> Self {
        self.text.push(if self.has_query { '&' } else { '?' });
        self.text.extend([name, "=", &escaped(value)]);
        self.has_query = true;
        self
    }
}

/// What the server says against it, in one line.
fn problem(response: &mut Response<Body>) -> Failure {
    let status = response.status();
    let text = response.body_mut().read_to_string().unwrap_or_default();
    let problem: Problem = serde_json::from_str(&text).unwrap_or_default();
    let words = [problem.detail, problem.title].into_iter().find(|words| !words.is_empty());
    let words = words.map(|words| words.split_whitespace().collect::<Vec<_>>().join(" "));
    Failure::No(anyhow::anyhow!(words.unwrap_or_else(|| format!("the server answers {status}"))))
}

/// A text as it may stand in a path or a query (RFC 3986 §2.3: what is unreserved stays).
fn escaped(text: &str) -> String {
    use std::fmt::Write as _;

    text.bytes().fold(String::new(), |mut escaped, byte| {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            escaped.push(char::from(byte));
        } else {
            let _ = write!(escaped, "%{byte:02X}");
        }
        escaped
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_piece_of_a_path_stays_one() {
        let path = Path::of(&["devices", "Front door/1"]).query("part", "a&b").query("x", "ü");
        assert_eq!(path.text, "/devices/Front%20door%2F1?part=a%26b&x=%C3%BC");
    }
}
