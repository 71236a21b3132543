//! Asking a server: what goes over the wire, and what becomes of every answer.

mod answers;
mod corpus;
mod redirects;
mod requests;
mod running;
mod splits;
mod timeouts;

use std::fmt;

use md5::{Digest as _, Md5};
use updraft_agent::pull::{
    Device, Incoming, Mode, Options, Outcome, Pull, PullError, Request, Sink, Step, UpdateError,
    Url,
};
use updraft_core::{Family, OtaTarget};

const SKETCH: Mode = Mode::Update(OtaTarget::Sketch);
const FILESYSTEM: Mode = Mode::Update(OtaTarget::Filesystem);

/// The device of the captures of the ESP8266.
const ESP8266: Device<'_> = Device {
    family: Family::Esp8266,
    base_mac: None,
    sta_mac: Some([0x5C, 0xCF, 0x7F, 0xB1, 0xE0, 0x42]),
    ap_mac: Some([0x5E, 0xCF, 0x7F, 0xB1, 0xE0, 0x42]),
    free_space: 1_695_744,
    filesystem_size: Some(2_072_576),
    sketch_size: 400_000,
    // Of nothing: the sketch that was emulated is empty.
    sketch_md5: Some(digest("d41d8cd98f00b204e9800998ecf8427e")),
    sketch_sha256: None,
    chip_size: 4 << 20,
    sdk_version: "2.2.2-dev(38a443e)",
};

/// The device of the written requests of the ESP32, core 2.0.x.
const ESP32: Device<'_> = Device {
    family: Family::Esp32,
    base_mac: None,
    sta_mac: Some([0x24, 0x6F, 0x28, 0xAE, 0x12, 0x34]),
    ap_mac: Some([0x24, 0x6F, 0x28, 0xAE, 0x12, 0x35]),
    free_space: 1_310_720,
    filesystem_size: Some(0x15_0000),
    sketch_size: 1_032_608,
    sketch_md5: Some(digest("9b74c9897bac770ffc029102a200c5de")),
    sketch_sha256: Some(digest("5F70BF18A086007016E948B04AED3B82103A36BEA41755B6CDDFAF10ACE3C6EF")),
    chip_size: 4 << 20,
    sdk_version: "v4.4.7-dirty",
};

/// A digest by its hexadecimal digits.
const fn digest<const N: usize>(hex: &str) -> [u8; N] {
    let mut digest = [0; N];
    let mut at = 0;
    while at < N {
        match u8::from_str_radix(hex.split_at(2 * at).1.split_at(2).0, 16) {
            Ok(byte) => digest[at] = byte,
            Err(_) => panic!("no hexadecimal digits"),
        }
        at += 1;
    }
    digest
}

/// A request of the device for `/ok`, by a sketch of version 1.0.0.
fn request(device: Device<'_>, mode: Mode) -> Request<'_> {
    let url = Url::parse("http://127.0.0.1:18112/ok").unwrap();
    let request = Request::new(device, url, OtaTarget::Sketch);
    Request { mode, version: Some("1.0.0"), ..request }
}

/// An updater that keeps what it gets, and checks the MD5.
#[derive(Debug, Default)]
struct Board {
    offered: Option<Offered>,
    image: Vec<u8>,
    aborted: usize,
    /// What it fails with, and where.
    fails: Option<(At, UpdaterError)>,
}

/// What `begin` was told.
type Offered = (OtaTarget, u32, Option<[u8; 16]>, Option<String>);

/// A call of an updater.
#[derive(Clone, Copy, Debug, PartialEq)]
enum At {
    Begin,
    Write,
    Finish,
}

/// An error in the numbers and texts of the ESP8266's updater.
#[derive(Clone, Debug, PartialEq)]
struct UpdaterError(u8, String);

impl UpdateError for UpdaterError {
    fn number(&self) -> u8 {
        self.0
    }
}

impl fmt::Display for UpdaterError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.1)
    }
}

impl Board {
    fn reached(&self, at: At) -> Result<(), UpdaterError> {
        match &self.fails {
            Some((here, error)) if *here == at => Err(error.clone()),
            _ => Ok(()),
        }
    }
}

impl Sink for Board {
    type Error = UpdaterError;

    fn begin(&mut self, image: &Incoming<'_>) -> Result<(), UpdaterError> {
        assert_eq!(self.offered, None, "one image for each question");
        let Incoming { target, size, md5, version } = *image;
        self.offered = Some((target, size, md5, version.map(str::to_owned)));
        self.reached(At::Begin)
    }

    fn write(&mut self, bytes: &[u8]) -> Result<(), UpdaterError> {
        self.image.extend(bytes);
        assert!(self.image.len() <= self.offered.as_ref().unwrap().1 as usize);
        self.reached(At::Write)
    }

    fn finish(&mut self) -> Result<(), UpdaterError> {
        let (_, size, md5, _) = self.offered.clone().unwrap();
        assert_eq!(self.image.len(), size as usize);
        let is = <[u8; 16]>::from(Md5::digest(&self.image));
        match md5 {
            Some(md5) if md5 != is => {
                let text = "MD5 verification failed: expected: ".to_owned();
                Err(UpdaterError(7, text + &hex(&md5) + ", calculated: " + &hex(&is)))
            }
            _ => self.reached(At::Finish),
        }
    }

    fn abort(&mut self) {
        self.aborted += 1;
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |text, byte| text + &format!("{byte:02x}"))
}

fn md5(bytes: &[u8]) -> String {
    hex(&Md5::digest(bytes))
}

/// A sketch as far as these clients look at it: for a flash of 4 MiB.
fn sketch() -> Vec<u8> {
    let mut image = vec![0xE9, 1, 2, 0x40];
    image.extend((0..=255_u8).cycle().take(3_000));
    image
}

/// An answer: status, fields, body.
fn answer(status: &str, fields: &[&str], body: &[u8]) -> Vec<u8> {
    let fields: String = fields.iter().flat_map(|field| [*field, "\r\n"]).collect();
    [format!("HTTP/1.1 {status}\r\n{fields}\r\n").as_bytes(), body].concat()
}

/// What came out, in the words of the stock clients: the number of an error and its text.
fn words(outcome: &Outcome<'_, UpdaterError>) -> String {
    match outcome {
        Outcome::UpToDate => "no updates".to_owned(),
        Outcome::Updated => "ok".to_owned(),
        Outcome::Version { version, md5: None } => format!("version {version}"),
        Outcome::Version { version, md5: Some(md5) } => format!("version {version} {}", hex(md5)),
        Outcome::Failed(error) => in_words(error),
    }
}

fn in_words(error: &PullError<UpdaterError>) -> String {
    format!("{} {error}", error.number()).trim_end().to_owned()
}

/// Lets a pull have this answer in pieces of these sizes, over and over; then the connection ends.
fn ask(
    request: &Request<'_>,
    options: Options,
    answer: &[u8],
    sizes: &[usize],
    mut board: Board,
) -> (String, Board) {
    let mut buffer = [0; 256];
    let mut pull = Pull::new(request, options, &mut buffer, &mut board, 0);
    connect(&mut pull, 0);
    let mut rest = answer;
    for size in sizes.iter().cycle() {
        let (piece, after) = rest.split_at(rest.len().min(*size));
        pull.receive(piece, 0);
        rest = after;
        if rest.is_empty() {
            break;
        }
    }
    let outcome = words(&pull.into_outcome());
    (outcome, board)
}

/// Connects and sends; what was sent.
fn connect<S: Sink>(pull: &mut Pull<'_, S>, now: u64) -> String {
    assert!(matches!(pull.step(), Step::Connect { .. }));
    pull.connected(now);
    assert_eq!(pull.step(), Step::Send);
    let mut sent = String::new();
    pull.write_request(&mut sent).unwrap();
    pull.sent(now);
    assert_eq!(pull.step(), Step::Receive);
    sent
}

/// A file of `testdata/wire`.
fn wire(name: &str) -> String {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../testdata/wire");
    std::fs::read_to_string(path.join(name)).unwrap()
}
