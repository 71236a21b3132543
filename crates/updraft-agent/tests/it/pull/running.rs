//! The driver, over a network that says what it was told to.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::rc::Rc;

use embedded_io::{ErrorKind, ErrorType, Read, Write};
use updraft_agent::pull::{Mode, Network, Options, Redirects, Request, Scheme, Url, run};

use super::{Board, ESP8266, SKETCH, answer, request, sketch, wire, words};

/// What a read gives.
enum Given {
    Bytes(Vec<u8>),
    /// Nothing, for so many milliseconds.
    Nothing(u64),
    Reset,
}

/// What a connection does: nothing, if there is to be none.
type Script = Option<Vec<Given>>;

struct Scripted {
    now: Rc<RefCell<u64>>,
    scripts: VecDeque<Script>,
    connected: Vec<(Scheme, String, u16, u32)>,
    sent: Rc<RefCell<Vec<Vec<u8>>>>,
}

struct Connection {
    now: Rc<RefCell<u64>>,
    script: VecDeque<Given>,
    sent: Rc<RefCell<Vec<Vec<u8>>>>,
}

impl Network for Scripted {
    type Connection = Connection;

    fn now(&mut self) -> u64 {
        *self.now.borrow()
    }

    fn connect(
        &mut self,
        scheme: Scheme,
        host: &str,
        port: u16,
        timeout_ms: u32,
    ) -> Result<Connection, ErrorKind> {
        self.connected.push((scheme, host.to_owned(), port, timeout_ms));
        let script = self.scripts.pop_front().flatten().ok_or(ErrorKind::ConnectionRefused)?;
        Ok(Connection { now: self.now.clone(), script: script.into(), sent: self.sent.clone() })
    }
}

impl ErrorType for Connection {
    type Error = ErrorKind;
}

impl Read for Connection {
    fn read(&mut self, block: &mut [u8]) -> Result<usize, ErrorKind> {
        match self.script.pop_front() {
            Some(Given::Bytes(mut bytes)) => {
                let length = bytes.len().min(block.len());
                block[..length].copy_from_slice(&bytes[..length]);
                let rest = bytes.split_off(length);
                if !rest.is_empty() {
                    self.script.push_front(Given::Bytes(rest));
                }
                Ok(length)
            }
            Some(Given::Nothing(time)) => {
                *self.now.borrow_mut() += time;
                Err(ErrorKind::TimedOut)
            }
            Some(Given::Reset) => Err(ErrorKind::ConnectionReset),
            None => Ok(0),
        }
    }
}

impl Write for Connection {
    fn write(&mut self, bytes: &[u8]) -> Result<usize, ErrorKind> {
        self.sent.borrow_mut().push(bytes.to_vec());
        Ok(bytes.len())
    }

    fn flush(&mut self) -> Result<(), ErrorKind> {
        Ok(())
    }
}

/// Runs it over these connections: what came out, the network and the updater.
fn check(
    request: &Request<'_>,
    block: usize,
    scripts: Vec<Script>,
    expected: &str,
) -> (Scripted, Board) {
    let mut network = Scripted {
        now: Rc::default(),
        scripts: scripts.into(),
        connected: Vec::new(),
        sent: Rc::default(),
    };
    let options = Options { redirects: Redirects::SameHost, ..Options::of(request.device.family) };
    let mut board = Board::default();
    let mut buffer = [0; 256];
    let outcome = run(&mut network, request, options, &mut buffer, &mut vec![0; block], &mut board);
    assert_eq!(words(&outcome), expected);
    (network, board)
}

fn image() -> Vec<u8> {
    answer("200 OK", &[&format!("Content-Length: {}", sketch().len())], &sketch())
}

#[test]
fn an_image_is_loaded_and_the_request_leaves_in_one_piece() {
    let script = vec![Given::Nothing(1_000), Given::Bytes(image())];
    let (network, board) = check(&request(ESP8266, SKETCH), 600, vec![Some(script)], "ok");
    assert_eq!(network.connected, [(Scheme::Http, "127.0.0.1".to_owned(), 18112, 8_000)]);
    assert_eq!(network.sent.take(), [wire("arduino_esp8266/sketch.http").into_bytes()]);
    assert_eq!(board.image, sketch());
}

#[test]
fn a_small_block_does_too() {
    for block in [1, 64] {
        let script = vec![Given::Bytes(image())];
        let (network, board) = check(&request(ESP8266, SKETCH), block, vec![Some(script)], "ok");
        assert_eq!(network.sent.take().concat(), wire("arduino_esp8266/sketch.http").into_bytes());
        assert_eq!(board.image, sketch());
    }
}

#[test]
fn without_a_block_nothing_can_be_sent() {
    let script = vec![Given::Bytes(image())];
    let failed = "-2 HTTP error: send header failed";
    check(&request(ESP8266, SKETCH), 0, vec![Some(script)], failed);
}

#[test]
fn a_redirect_is_another_connection() {
    let redirect = answer("302 Found", &["Location: /ok"], b"");
    let scripts = vec![Some(vec![Given::Bytes(redirect)]), Some(vec![Given::Bytes(image())])];
    let url = Url::parse("http://127.0.0.1:18112/redir").unwrap();
    let request = Request { url, ..request(ESP8266, SKETCH) };
    let (network, _) = check(&request, 600, scripts, "ok");
    assert_eq!(network.connected.len(), 2);
    let sent = network.sent.take().concat();
    assert_eq!(sent, wire("arduino_esp8266/redirect-followed.http").into_bytes());
}

#[test]
fn what_goes_wrong_on_the_way_is_told() {
    let check = |script: Script, expected: &str| {
        check(&request(ESP8266, SKETCH), 600, vec![script], expected).1.aborted
    };
    check(None, "-1 HTTP error: connection failed");
    check(Some(vec![]), "-5 HTTP error: connection lost");
    check(Some(vec![Given::Reset]), "-5 HTTP error: connection lost");
    let stalled = (0..10).map(|_| Given::Nothing(1_000)).collect();
    check(Some(stalled), "-11 HTTP error: read Timeout");
    let stalled = "6 Update error: ERROR[6]: Stream Read Timeout";
    let start = || Given::Bytes(image()[..200].to_vec());
    assert_eq!(check(Some(vec![start(), Given::Reset]), stalled), 1);
    assert_eq!(check(Some(vec![start(), Given::Nothing(73_000)]), stalled), 1);
    assert_eq!(check(Some(vec![start()]), stalled), 1);
}

#[test]
fn a_version_is_asked_for() {
    let answer = answer("200 OK", &["x-version: 1.2.0", "Content-Length: 0"], b"");
    let script = Some(vec![Given::Bytes(answer)]);
    check(&request(ESP8266, Mode::Version), 600, vec![script], "version 1.2.0");
}
