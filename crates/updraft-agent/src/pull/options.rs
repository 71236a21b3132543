//! How a pull goes about it: where it lets itself be sent, and how long it waits.

use updraft_core::Family;

/// What a sketch may set on the stock clients.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Options {
    /// Which redirects are followed.
    pub redirects: Redirects,
    /// How many of them, one after another (`setRedirectLimit`).
    pub redirect_limit: u16,
    /// How long is waited.
    pub timeouts: Timeouts,
}

/// Which redirects are followed: of the statuses 301, 302, 303 and 307, never of 308.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Redirects {
    /// None, as the stock clients unless told otherwise.
    Off,
    /// Those that stay on the server that was asked.
    SameHost,
    /// Any (`HTTPC_FORCE_FOLLOW_REDIRECTS`), but none from TLS to plain text or back. The stock clients
    /// take the credentials along to any host; here only to the one they were meant for.
    Any,
}

/// How long is waited, in milliseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timeouts {
    /// For the connection, and then for the request to be taken.
    pub connect: u32,
    /// For the next bytes of a head.
    pub head: u32,
    /// For the first bytes of a sketch, which show whether it is one.
    pub first_bytes: u32,
    /// For the next bytes of a body.
    pub body: u32,
}

impl Options {
    /// As the stock client of the family, until a sketch changes something.
    pub const fn of(family: Family) -> Self {
        Self { redirects: Redirects::Off, redirect_limit: 10, timeouts: Timeouts::of(family) }
    }
}

impl Timeouts {
    /// Those of the stock client.
    ///
    /// An ESP32 gives the first byte 100 ms: a server must send it with the head. And it gives a stalled
    /// body 40 minutes (300 tries of 8.1 s, `UpdateClass::writeStream`), which a firmware of its own
    /// need not copy. An ESP8266 gave up after 73 s when it was measured (tries of 8.1 s, until 60 s
    /// have passed).
    pub const fn of(family: Family) -> Self {
        match family {
            Family::Esp8266 => {
                Self { connect: 8_000, head: 8_000, first_bytes: 8_000, body: 73_000 }
            }
            Family::Esp32 => {
                Self { connect: 8_000, head: 8_000, first_bytes: 100, body: 2_430_000 }
            }
        }
    }
}
