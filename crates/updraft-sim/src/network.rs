//! A network for the agent: TCP of this computer, without TLS.

use std::io::{self, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream, ToSocketAddrs as _};
use std::time::{Duration, Instant};

use embedded_io::ErrorKind;
use updraft_agent::pull::{Network, Scheme};

/// How long a read waits in vain, so that deadlines are seen.
const TURN: Duration = Duration::from_millis(100);

/// TCP of this computer.
#[derive(Debug)]
pub(crate) struct Tcp {
    start: Instant,
}

/// A TCP connection.
#[derive(Debug)]
pub(crate) struct Connection(TcpStream);

impl Tcp {
    #[expect(clippy::disallowed_methods, reason = "the clock of simulated devices")]
    pub(crate) fn new() -> Self {
        Self { start: Instant::now() }
    }
}

impl Network for Tcp {
    type Connection = Connection;

    fn now(&mut self) -> u64 {
        u64::try_from(self.start.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    fn connect(
        &mut self,
        scheme: Scheme,
        host: &str,
        port: u16,
        timeout_ms: u32,
    ) -> Result<Connection, ErrorKind> {
        if scheme == Scheme::Https {
            return Err(ErrorKind::Unsupported);
        }
        let timeout = Duration::from_millis(timeout_ms.into());
        let mut last = ErrorKind::NotFound;
        for address in (host, port).to_socket_addrs().map_err(|error| kind(&error))? {
            match connect(address, timeout) {
                Ok(stream) => return Ok(Connection(stream)),
                Err(error) => last = kind(&error),
            }
        }
        Err(last)
    }
}

fn connect(address: SocketAddr, timeout: Duration) -> io::Result<TcpStream> {
    let stream = TcpStream::connect_timeout(&address, timeout)?;
    stream.set_read_timeout(Some(TURN))?;
    stream.set_write_timeout(Some(timeout))?;
    Ok(stream)
}

impl embedded_io::ErrorType for Connection {
    type Error = ErrorKind;
}

impl embedded_io::Read for Connection {
    fn read(&mut self, buffer: &mut [u8]) -> Result<usize, ErrorKind> {
        self.0.read(buffer).map_err(|error| kind(&error))
    }
}

impl embedded_io::Write for Connection {
    fn write(&mut self, bytes: &[u8]) -> Result<usize, ErrorKind> {
        match self.0.write(bytes) {
            // The trait knows no write of nothing.
            Ok(0) if !bytes.is_empty() => Err(ErrorKind::WriteZero),
            result => result.map_err(|error| kind(&error)),
        }
    }

    fn flush(&mut self) -> Result<(), ErrorKind> {
        Ok(())
    }
}

fn kind(error: &io::Error) -> ErrorKind {
    match error.kind() {
        // A read that waited in vain says the one or the other.
        io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut => ErrorKind::TimedOut,
        io::ErrorKind::Interrupted => ErrorKind::Interrupted,
        io::ErrorKind::ConnectionRefused => ErrorKind::ConnectionRefused,
        _ => ErrorKind::Other,
    }
}
