//! Clients that misbehave, files that change under way, paths that lead elsewhere: what the server
//! must survive. Here is what those tests share; none of it knows the server's code.

use std::io::{self, Read as _, Write as _};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpStream};
use std::time::Duration;

use socket2::{Domain, Socket, Type};
use updraft_pack::Esp8266Image;

use crate::harness::{Answer, ESP8266, PATIENCE, Server, parse_answer};

mod clients;
mod connections;
mod files;
mod paths;
mod requests;

/// A sketch of about `size` bytes, another one for each `seed`.
pub(crate) fn sketch(size: usize, seed: u64) -> Vec<u8> {
    Esp8266Image::new().filler(size, seed).build().unwrap()
}

/// Far more than the kernel holds for a [`narrow`] connection.
pub(crate) const BIG: usize = 900_000;

/// A request for a file as a device sends it.
pub(crate) fn request(target: &str) -> String {
    format!("GET {target} HTTP/1.0\r\n{ESP8266}\r\n")
}

/// The same by a client that would keep the connection.
pub(crate) fn keep_alive(target: &str) -> String {
    format!("GET {target} HTTP/1.1\r\nHost: a\r\n{ESP8266}\r\n")
}

/// A connection with a receive buffer so small that the server feels how it is read.
pub(crate) fn narrow(server: &Server) -> TcpStream {
    connect_from(server.address(), Ipv4Addr::LOCALHOST.into(), Some(4096))
}

/// A connection from one of this computer's addresses.
fn connect_from(server: SocketAddr, from: IpAddr, receive_buffer: Option<usize>) -> TcpStream {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    if let Some(size) = receive_buffer {
        socket.set_recv_buffer_size(size).unwrap();
    }
    socket.bind(&SocketAddr::new(from, 0).into()).unwrap();
    socket.connect(&server.into()).unwrap();
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    socket.set_write_timeout(Some(PATIENCE)).unwrap();
    socket.into()
}

/// Reads a head; the body bytes that came along follow it.
fn read_head(stream: &mut TcpStream) -> Answer {
    let mut bytes = Vec::new();
    while !bytes.windows(4).any(|four| four == b"\r\n\r\n") {
        let mut block = [0; 2048];
        let length = stream.read(&mut block).expect("an answer");
        assert_ne!(length, 0, "closed after {:?}", String::from_utf8_lossy(&bytes));
        bytes.extend(&block[..length]);
    }
    parse_answer(&bytes, Vec::new())
}

/// What a download brought, and how it ended.
pub(crate) struct Download {
    pub(crate) length: usize,
    pub(crate) body: Vec<u8>,
    ended: io::Result<()>,
}

impl Download {
    /// Asks for a file and reads the head and some of the body, as a slow device would by now.
    pub(crate) fn begin(stream: &mut TcpStream, request: &str) -> Self {
        stream.write_all(request.as_bytes()).unwrap();
        Self::begun(read_head(stream))
    }

    /// The same when the head has been read already.
    fn begun(head: Answer) -> Self {
        assert_eq!(head.status, 200, "{}", head.head);
        let length = head.field("content-length").parse().unwrap();
        Self { length, body: head.body, ended: Ok(()) }
    }

    /// Reads on until everything came, the server closed, or reset the connection.
    pub(crate) fn read_on(&mut self, stream: &mut TcpStream) {
        self.read_paced(stream, 64 * 1024, Duration::ZERO);
    }

    /// Reads on in pieces, with a pause after each.
    pub(crate) fn read_paced(&mut self, stream: &mut TcpStream, piece: usize, pause: Duration) {
        let mut block = vec![0; piece];
        while self.body.len() < self.length {
            match stream.read(&mut block) {
                Ok(0) => return,
                Ok(length) => self.body.extend(&block[..length]),
                Err(error) => {
                    self.ended = Err(error);
                    return;
                }
            }
            std::thread::sleep(pause);
        }
    }

    fn was_reset(&self) -> bool {
        self.ended.as_ref().is_err_and(|error| error.kind() == io::ErrorKind::ConnectionReset)
    }
}

/// Sends bytes over one connection and reads until the server closes it: the answers that came. Their
/// end must be the server's doing: a connection left open makes this fail.
#[track_caller]
fn converse(server: &Server, bytes: impl AsRef<[u8]>) -> Vec<Answer> {
    let mut stream = server.connect();
    stream.write_all(bytes.as_ref()).unwrap();
    let received = read_to_close(&mut stream);
    let mut rest = &received[..];
    let mut answers = Vec::new();
    while !rest.is_empty() {
        let mut answer = parse_answer(rest, Vec::new());
        let head = rest.len() - answer.body.len();
        let length =
            answer.fields("content-length").first().map_or(0, |length| length.parse().unwrap());
        answer.body.truncate(length);
        rest = &rest[head + length..];
        answers.push(answer);
    }
    answers
}

/// The statuses of those answers.
#[track_caller]
fn statuses(server: &Server, bytes: impl AsRef<[u8]>) -> Vec<u16> {
    converse(server, bytes).iter().map(|answer| answer.status).collect()
}

/// Everything that comes until the server closes, be it with a reset: it resets a connection on which
/// more came than it cared to read.
#[track_caller]
pub(crate) fn read_to_close(stream: &mut TcpStream) -> Vec<u8> {
    let mut received = Vec::new();
    match stream.read_to_end(&mut received) {
        Ok(_) => {}
        Err(error) if error.kind() == io::ErrorKind::ConnectionReset => {}
        Err(error) => panic!("the server did not close: {error}"),
    }
    received
}

/// That the server is there and serves `name`.
#[track_caller]
fn still_serves(server: &Server, name: &str, content: &[u8]) {
    let answer = server.get(name, ESP8266);
    assert_eq!(answer.status, 200, "{}", answer.head);
    assert!(answer.body == content, "another body");
}

/// Waits until something is so, as long as a test may wait.
#[track_caller]
pub(crate) fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let pause = Duration::from_millis(10);
    let turns = PATIENCE.as_millis() / pause.as_millis();
    assert!(
        (0..turns).any(|_| {
            let holds = holds();
            if !holds {
                std::thread::sleep(pause);
            }
            holds
        }),
        "not in time: {what}"
    );
}
