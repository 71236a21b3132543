//! Drives a pull over a network whose calls block. No rule of the protocol is here.

use core::fmt;

use embedded_io::{Error as _, ErrorKind, ErrorType, Read, Write};

use super::machine::{Outcome, Pull, Step};
use super::options::Options;
use super::request::Request;
use super::sink::Sink;
use super::url::Scheme;

/// A network whose calls block, and a clock beside it.
pub trait Network {
    /// A connection, closed when it is dropped.
    ///
    /// A read that waits for a while in vain, a tenth of a second or a whole one, must fail with
    /// [`ErrorKind::TimedOut`], so that deadlines are seen; one that waits forever makes them useless.
    /// Zero bytes mean that the other side has closed.
    type Connection: Read + Write;

    /// Milliseconds since whenever; they never go back.
    fn now(&mut self) -> u64;

    /// Connects. Must not fall back to plain TCP where the scheme demands TLS.
    fn connect(
        &mut self,
        scheme: Scheme,
        host: &str,
        port: u16,
        timeout_ms: u32,
    ) -> Result<Self::Connection, <Self::Connection as ErrorType>::Error>;
}

/// Asks, and sees it through to its end.
///
/// `buffer` is for heads (see [`Pull::new`]), `block` for what is sent and received: from a few hundred
/// bytes on, so that the request leaves in one piece; what it has at most is what a sink gets at once.
pub fn run<'a, S: Sink>(
    network: &mut impl Network,
    request: &'a Request<'a>,
    options: Options,
    buffer: &'a mut [u8],
    block: &mut [u8],
    sink: S,
) -> Outcome<'a, S::Error> {
    let mut pull = Pull::new(request, options, buffer, sink, network.now());
    let timeout_ms = options.timeouts.connect;
    while let Step::Connect { scheme, host, port } = pull.step() {
        match network.connect(scheme, host, port, timeout_ms) {
            Ok(connection) => {
                pull.connected(network.now());
                exchange(network, connection, block, &mut pull);
            }
            Err(_) => pull.closed(),
        }
    }
    pull.into_outcome()
}

/// Sends the request and receives the answer, until another connection is needed or none.
fn exchange<N: Network, S: Sink>(
    network: &mut N,
    mut connection: N::Connection,
    block: &mut [u8],
    pull: &mut Pull<'_, S>,
) {
    let mut blocks = Blocks { block, filled: 0, connection: &mut connection };
    match pull.write_request(&mut blocks).and_then(|()| blocks.flush()) {
        Ok(()) => pull.sent(network.now()),
        Err(fmt::Error) => pull.closed(),
    }
    while pull.step() == Step::Receive {
        match connection.read(block) {
            Ok(0) => pull.closed(),
            Ok(length) => pull.receive(block.get(..length).unwrap_or_default(), network.now()),
            Err(error) => match error.kind() {
                ErrorKind::TimedOut | ErrorKind::Interrupted => pull.tick(network.now()),
                _ => pull.closed(),
            },
        }
    }
}

/// Collects what is written, so that it leaves in few pieces.
struct Blocks<'b, W> {
    block: &'b mut [u8],
    filled: usize,
    connection: &'b mut W,
}

impl<W: Write> Blocks<'_, W> {
    fn flush(&mut self) -> fmt::Result {
        let filled = self.block.get(..core::mem::take(&mut self.filled)).unwrap_or_default();
        self.connection.write_all(filled).map_err(|_| fmt::Error)?;
        self.connection.flush().map_err(|_| fmt::Error)
    }
}

impl<W: Write> fmt::Write for Blocks<'_, W> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        if self.block.is_empty() {
            return Err(fmt::Error);
        }
        let mut rest = text.as_bytes();
        while !rest.is_empty() {
            let free = self.block.get_mut(self.filled..).unwrap_or_default();
            let (now, later) = rest.split_at(rest.len().min(free.len()));
            free.iter_mut().zip(now).for_each(|(slot, byte)| *slot = *byte);
            self.filled += now.len();
            rest = later;
            if self.filled == self.block.len() {
                self.flush()?;
            }
        }
        Ok(())
    }
}
