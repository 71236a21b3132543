//! How long is waited, by a clock that is moved by hand.

use updraft_agent::pull::{Device, Mode, Options, Pull, Redirects, Request, Step, Timeouts};

use super::{Board, ESP32, ESP8266, FILESYSTEM, SKETCH, answer, connect, request, sketch, words};

const START: u64 = 1_000_000;

/// What a pull needs, by which it is outlived.
struct Asked {
    request: Request<'static>,
    buffer: [u8; 256],
    board: Board,
}

impl Asked {
    fn new(device: Device<'static>, mode: Mode) -> Self {
        Self { request: request(device, mode), buffer: [0; 256], board: Board::default() }
    }

    /// A pull that starts at `START`, and follows redirects.
    fn pull(&mut self) -> Pull<'_, &mut Board> {
        let family = self.request.device.family;
        let options = Options { redirects: Redirects::Any, ..Options::of(family) };
        Pull::new(&self.request, options, &mut self.buffer, &mut self.board, START)
    }
}

/// Checks that the pull waits until then, and what it ends with.
#[track_caller]
fn check(mut pull: Pull<'_, &mut Board>, until: u64, expected: &str) {
    assert_eq!(pull.deadline(), START + until);
    let step = format!("{:?}", pull.step());
    pull.tick(START + until - 1);
    assert_eq!(format!("{:?}", pull.step()), step);
    pull.tick(START + until);
    assert_eq!(pull.step(), Step::Done);
    assert_eq!(words(&pull.into_outcome()), expected);
}

#[test]
fn a_connection_has_8_seconds_and_so_has_the_request() {
    let mut asked = Asked::new(ESP8266, SKETCH);
    let waiting = asked.pull();
    check(waiting, 8_000, "-1 HTTP error: connection failed");
    let mut asked = Asked::new(ESP32, SKETCH);
    let waiting = asked.pull();
    check(waiting, 8_000, "-1 HTTP error: connection refused");
    let mut asked = Asked::new(ESP8266, SKETCH);
    let mut sending = asked.pull();
    sending.connected(START + 3_000);
    check(sending, 11_000, "-2 HTTP error: send header failed");
}

#[test]
fn each_part_of_a_head_has_8_seconds() {
    for device in [ESP8266, ESP32] {
        let mut asked = Asked::new(device, SKETCH);
        let mut pull = asked.pull();
        connect(&mut pull, START + 100);
        assert_eq!(pull.deadline(), START + 8_100);
        pull.receive(b"HTTP/1.1 200 OK\r\n", START + 5_000);
        pull.receive(b"Content", START + 12_000);
        check(pull, 20_000, "-11 HTTP error: read Timeout");
    }
}

#[test]
fn the_first_bytes_have_8_seconds_or_a_tenth_of_one() {
    let head = answer("200 OK", &["Content-Length: 3004"], b"");
    for (device, wait) in [(ESP8266, 8_000), (ESP32, 100)] {
        let mut asked = Asked::new(device, SKETCH);
        let mut pull = asked.pull();
        connect(&mut pull, START);
        pull.receive(&head, START + 1_000);
        check(pull, 1_000 + wait, "-106 Verify Bin Header Failed");
    }
    // Four of them, and the time does not start anew with each.
    let mut asked = Asked::new(ESP8266, SKETCH);
    let mut pull = asked.pull();
    connect(&mut pull, START);
    pull.receive(&head, START);
    pull.receive(&sketch()[..3], START + 5_000);
    check(pull, 8_000, "-106 Verify Bin Header Failed");
    assert_eq!(asked.board.offered, None);
}

#[test]
fn a_body_may_stall_as_long_as_with_the_stock_clients() {
    for (device, wait, text) in [
        (ESP8266, 73_000, "6 Update error: ERROR[6]: Stream Read Timeout"),
        (ESP32, 2_430_000, "6 Update error: Stream Read Timeout"),
    ] {
        for mode in [SKETCH, FILESYSTEM] {
            let mut asked = Asked::new(device, mode);
            let mut pull = asked.pull();
            connect(&mut pull, START);
            let answer = answer("200 OK", &["Content-Length: 3004"], &sketch()[..10]);
            pull.receive(&answer, START + 1_000);
            assert_eq!(pull.deadline(), START + 1_000 + wait);
            pull.receive(&sketch()[10..20], START + 60_000);
            check(pull, 60_000 + wait, text);
            assert_eq!((asked.board.image, asked.board.aborted), (sketch()[..20].into(), 1));
        }
    }
}

#[test]
fn a_redirect_starts_the_time_of_a_connection_anew() {
    let mut asked = Asked::new(ESP8266, SKETCH);
    let mut pull = asked.pull();
    connect(&mut pull, START);
    pull.receive(&answer("301", &["Location: /ok"], b""), START + 4_000);
    assert!(matches!(pull.step(), Step::Connect { .. }));
    check(pull, 12_000, "-1 HTTP error: connection failed");
}

#[test]
fn times_are_the_callers() {
    let timeouts = Timeouts { connect: 1, head: 2, first_bytes: 3, body: 4 };
    let options = Options { timeouts, ..Options::of(ESP32.family) };
    let (mut buffer, mut board) = ([0; 256], Board::default());
    let asked = request(ESP32, SKETCH);
    let mut pull = Pull::new(&asked, options, &mut buffer, &mut board, START);
    assert_eq!(pull.deadline(), START + 1);
    connect(&mut pull, START);
    assert_eq!(pull.deadline(), START + 2);
    pull.receive(&answer("200 OK", &["Content-Length: 3004"], b""), START);
    assert_eq!(pull.deadline(), START + 3);
    pull.receive(&sketch()[..1], START);
    assert_eq!(pull.deadline(), START + 4);
}

#[test]
fn what_does_not_fit_the_step_is_ignored() {
    let mut asked = Asked::new(ESP8266, SKETCH);
    let mut pull = asked.pull();
    pull.receive(b"HTTP/1.1 304\r\n\r\n", START);
    pull.sent(START);
    assert!(matches!(pull.step(), Step::Connect { .. }));
    connect(&mut pull, START);
    pull.connected(START);
    pull.receive(b"HTTP/1.1 304\r\n\r\n", START);
    assert_eq!(pull.step(), Step::Done);
    pull.tick(u64::MAX);
    pull.closed();
    pull.receive(b"HTTP/1.1 200\r\n\r\n", START);
    assert_eq!(words(&pull.into_outcome()), "no updates");
}
