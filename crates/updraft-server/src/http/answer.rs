//! An answer before it is bytes, and the bytes of its head.

use std::io::Write as _;

use bytes::Bytes;

use crate::deliver::Delivery;
use crate::http::{BadHead, Method};

/// A status that an update client tells apart, and the few that only tools see.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Status {
    Ok,
    PartialContent,
    NotModified,
    BadRequest,
    Unauthorized,
    Forbidden,
    NotFound,
    RangeNotSatisfiable,
    HeadTooLarge,
    NotImplemented,
    InternalError,
}

/// An answer: status, header fields beyond length and connection, body.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: Status,
    pub(crate) fields: Vec<(&'static str, String)>,
    pub(crate) body: Body,
    /// The connection ends after this answer, whatever the client wishes.
    pub(crate) close: bool,
}

/// The body of an answer.
#[derive(Debug)]
pub(crate) enum Body {
    Empty,
    /// A few words for a person.
    Text(&'static str),
    Bytes(Bytes),
    Image(Delivery),
}

impl Status {
    pub(crate) fn code(self) -> u16 {
        self.line().0
    }

    fn line(self) -> (u16, &'static str) {
        match self {
            Self::Ok => (200, "200 OK"),
            Self::PartialContent => (206, "206 Partial Content"),
            Self::NotModified => (304, "304 Not Modified"),
            Self::BadRequest => (400, "400 Bad Request"),
            Self::Unauthorized => (401, "401 Unauthorized"),
            Self::Forbidden => (403, "403 Forbidden"),
            Self::NotFound => (404, "404 Not Found"),
            Self::RangeNotSatisfiable => (416, "416 Range Not Satisfiable"),
            Self::HeadTooLarge => (431, "431 Request Header Fields Too Large"),
            Self::NotImplemented => (501, "501 Not Implemented"),
            Self::InternalError => (500, "500 Internal Server Error"),
        }
    }
}

impl From<BadHead> for Status {
    fn from(bad: BadHead) -> Self {
        match bad {
            BadHead::TooLarge => Self::HeadTooLarge,
            BadHead::Syntax | BadHead::Conflict | BadHead::Body => Self::BadRequest,
        }
    }
}

impl Body {
    /// Length in bytes.
    pub(crate) fn len(&self) -> u64 {
        match self {
            Self::Empty => 0,
            Self::Text(text) => text.len() as u64,
            Self::Bytes(bytes) => bytes.len() as u64,
            Self::Image(delivery) => delivery.len(),
        }
    }
}

impl Answer {
    /// An answer with a status and nothing else.
    pub(crate) fn empty(status: Status) -> Self {
        Self { status, fields: Vec::new(), body: Body::Empty, close: false }
    }

    /// An answer for a person who came where only devices are served.
    pub(crate) fn text(status: Status, text: &'static str) -> Self {
        Self { body: Body::Text(text), ..Self::empty(status) }
            .with("Content-Type", "text/plain; charset=utf-8")
    }

    /// Adds a header field. The value must hold no line end: it comes from us, never raw from the
    /// network.
    pub(crate) fn with(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.fields.push((name, value.into()));
        self
    }

    /// Closes the connection after this answer.
    pub(crate) fn closing(mut self) -> Self {
        self.close = true;
        self
    }

    /// Writes status line and header block, the blank line included. `date` is the value of `Date`.
    pub(crate) fn write_head(&self, out: &mut Vec<u8>, keep_alive: bool, date: &str) {
        let mut put = |text: &str| out.extend_from_slice(text.as_bytes());
        put("HTTP/1.1 ");
        put(self.status.line().1);
        put("\r\n");
        for (name, value) in &self.fields {
            put(name);
            put(": ");
            // Defence in depth: no value can start a header of its own.
            value.split(['\r', '\n']).for_each(&mut put);
            put("\r\n");
        }
        put("Date: ");
        put(date);
        put("\r\n");
        // A 304 has no body, and a length there would speak of the body of a 200.
        if self.status != Status::NotModified {
            write!(out, "Content-Length: {}\r\n", self.body.len()).expect("a Vec takes all");
        }
        if !keep_alive {
            out.extend_from_slice(b"Connection: close\r\n");
        }
        out.extend_from_slice(b"\r\n");
    }
}

/// What of a request shapes the bytes of any answer to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Framing {
    pub(crate) method: Method,
    pub(crate) keep_alive: bool,
}
