//! A pull as a machine without I/O: what it waits for, until when, and what becomes of an answer. How
//! heads are read is in `head.rs`, what is written in `request.rs`, where redirects lead in
//! `redirect.rs`.

use core::fmt;
use core::ops::Range;

use updraft_core::{Chip, Family, FlashSettings, OtaTarget};

use super::error::{Cause, PullError};
use super::head::{Encoding, Head, HeadReader, Md5Field, Place, text};
use super::options::Options;
use super::redirect::{NotFollowed, Redirect};
use super::request::{Device, Evidence, Mode, Request};
use super::sink::{Incoming, Sink};
use super::url::{Scheme, Url};

/// First byte of an image (`ESP_IMAGE_HEADER_MAGIC`).
const IMAGE: u8 = 0xE9;
/// First byte of a gzip (RFC 1952, ID1), which only eboot inflates.
const GZIP: u8 = 0x1F;

/// One question to a server, redirects included, and what becomes of it.
///
/// Look at [`step`](Self::step), do that, tell what happened. What does not fit the step is ignored. Time
/// is in milliseconds, from any start. Dropped before its end, it leaves the sink as it is.
#[derive(Debug)]
pub struct Pull<'a, S: Sink> {
    request: &'a Request<'a>,
    options: Options,
    /// In front what redirects have led to, then what is kept of a head, then its current line.
    buffer: &'a mut [u8],
    sink: S,
    redirect: Redirect,
    state: State<S::Error>,
    deadline: u64,
}

/// What has to be done next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step<'p> {
    /// Make a connection, the former one being closed; then [`Pull::connected`] or [`Pull::closed`].
    Connect {
        /// With TLS, or without.
        scheme: Scheme,
        /// A name or an IPv4 address.
        host: &'p str,
        /// The TCP port.
        port: u16,
    },
    /// Send what [`Pull::write_request`] writes; then [`Pull::sent`] or [`Pull::closed`].
    Send,
    /// Wait for bytes; then [`Pull::receive`] or [`Pull::closed`].
    Receive,
    /// Close the connection: there is an outcome.
    Done,
}

/// What became of a question.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome<'a, E> {
    /// There is nothing newer, or not now (`HTTP_UPDATE_NO_UPDATES`).
    UpToDate,
    /// The sink has the whole image, and is content with it (`HTTP_UPDATE_OK`).
    Updated,
    /// The answer to [`Mode::Version`].
    Version {
        /// The version that the server has.
        version: &'a str,
        /// MD5 of that image, if the server says it.
        md5: Option<[u8; 16]>,
    },
    /// Nothing was installed (`HTTP_UPDATE_FAILED`).
    Failed(PullError<E>),
}

#[derive(Debug)]
enum State<E> {
    Connect,
    Send,
    Head(HeadReader),
    /// Waits for what shows that a sketch is one.
    FirstBytes {
        offer: Offer,
        bytes: [u8; 4],
        have: usize,
    },
    Body {
        left: u32,
    },
    Done(End<E>),
}

#[derive(Debug)]
enum End<E> {
    UpToDate,
    Updated,
    Version { version: Range<usize>, md5: Option<[u8; 16]> },
    Failed(Cause<E>),
}

/// What a server is about to send.
#[derive(Clone, Debug)]
struct Offer {
    target: OtaTarget,
    size: u32,
    md5: Md5Field,
    version: Place,
}

impl<'a, S: Sink> Pull<'a, S> {
    /// A pull that is about to connect. The buffer is for what has to be kept of heads: 512 bytes hold
    /// any version and any redirect that is not odd; with less than 64 no answer can be read.
    pub fn new(
        request: &'a Request<'a>,
        options: Options,
        buffer: &'a mut [u8],
        sink: S,
        now: u64,
    ) -> Self {
        let redirect = Redirect::NONE;
        let deadline = now.saturating_add(options.timeouts.connect.into());
        Self { request, options, buffer, sink, redirect, state: State::Connect, deadline }
    }

    /// What has to be done next.
    pub fn step(&self) -> Step<'_> {
        match self.state {
            State::Connect => {
                let Url { scheme, host, port, .. } = self.url();
                Step::Connect { scheme, host, port }
            }
            State::Send => Step::Send,
            State::Head(_) | State::FirstBytes { .. } | State::Body { .. } => Step::Receive,
            State::Done(_) => Step::Done,
        }
    }

    /// Until when it may take, by the clock of `now`; then [`Pull::tick`] ends it.
    pub fn deadline(&self) -> u64 {
        self.deadline
    }

    /// Writes the request: to the URL that was given, or to where a redirect led.
    pub fn write_request(&self, to: &mut impl fmt::Write) -> fmt::Result {
        if self.redirect.kept() == 0 {
            return self.request.write(to);
        }
        let url = self.url();
        let authorization = url.authorization().or_else(|| {
            let is_meant = url.is_same_server(&self.request.url);
            self.request.authorization().filter(|_| is_meant)
        });
        let request = Request { url, evidence: Evidence::default(), ..*self.request };
        request.write_to(self.redirect.fields, authorization, to)
    }

    /// The connection is there.
    pub fn connected(&mut self, now: u64) {
        if matches!(self.state, State::Connect) {
            self.enter(State::Send, self.options.timeouts.connect, now);
        }
    }

    /// The request is sent.
    pub fn sent(&mut self, now: u64) {
        if matches!(self.state, State::Send) {
            let reader = HeadReader::new(self.request.device.family, self.redirect.kept());
            self.enter(State::Head(reader), self.options.timeouts.head, now);
        }
    }

    /// Bytes came; blocks of any size give the same.
    pub fn receive(&mut self, mut bytes: &[u8], now: u64) {
        while !bytes.is_empty() {
            let taken = match &mut self.state {
                State::Head(reader) => match reader.push(self.buffer, bytes) {
                    Ok((taken, None)) => {
                        self.wait(self.options.timeouts.head, now);
                        taken
                    }
                    Ok((taken, Some(head))) => {
                        self.answer(head, now);
                        taken
                    }
                    Err(_) => return self.fail(Cause::NotEnoughRam),
                },
                State::FirstBytes { .. } => self.first_bytes(bytes, now),
                State::Body { .. } => {
                    self.wait(self.options.timeouts.body, now);
                    self.body(bytes)
                }
                State::Connect | State::Send | State::Done(_) => return,
            };
            bytes = bytes.get(taken..).unwrap_or_default();
        }
    }

    /// The connection could not be made, or ended: by the other side, or by an error.
    pub fn closed(&mut self) {
        match self.state {
            State::Connect => self.fail(Cause::ConnectionFailed),
            State::Send => self.fail(Cause::SendHeaderFailed),
            State::Head(_) => self.fail(Cause::ConnectionLost),
            State::FirstBytes { .. } => self.fail(Cause::VerifyHeader),
            State::Body { .. } => {
                self.sink.abort();
                self.fail(Cause::StreamTimeout);
            }
            State::Done(_) => {}
        }
    }

    /// Time has passed. Nothing happens before the deadline.
    pub fn tick(&mut self, now: u64) {
        match self.state {
            _ if now < self.deadline => {}
            State::Head(_) => self.fail(Cause::ReadTimeout),
            _ => self.closed(),
        }
    }

    /// What became of it. A pull that is not done ends here, as if the connection had.
    pub fn into_outcome(mut self) -> Outcome<'a, S::Error> {
        self.closed();
        let family = self.request.device.family;
        match self.state {
            State::Done(End::UpToDate) => Outcome::UpToDate,
            State::Done(End::Updated) => Outcome::Updated,
            State::Done(End::Version { version, md5 }) => match text(self.buffer, &version) {
                Some(version) => Outcome::Version { version, md5 },
                None => Outcome::Failed(PullError { family, cause: Cause::NoVersion }),
            },
            State::Done(End::Failed(cause)) => Outcome::Failed(PullError { family, cause }),
            _ => Outcome::Failed(PullError { family, cause: Cause::ConnectionLost }),
        }
    }

    /// Where to ask now.
    fn url(&self) -> Url<'_> {
        self.redirect.url(self.buffer, self.request.url)
    }

    /// What a complete head means.
    fn answer(&mut self, head: Head, now: u64) {
        let esp8266 = self.request.device.family == Family::Esp8266;
        let end = match (head.status, self.request.mode) {
            _ if head.encoding == Encoding::Other => End::Failed(Cause::Encoding),
            (..=0, _) => End::Failed(Cause::NoHttpServer),
            (301 | 302 | 303 | 307, _) => {
                let (request, options) = (self.request, &self.options);
                match self.redirect.follow(&head.location, self.buffer, request, options) {
                    Ok(redirect) => {
                        self.redirect = redirect;
                        return self.enter(State::Connect, options.timeouts.connect, now);
                    }
                    Err(NotFollowed::Refused) => End::Failed(wrong(head.status)),
                    Err(NotFollowed::TooLong) => End::Failed(Cause::NotEnoughRam),
                }
            }
            (200, Mode::Version) => match head.version {
                Place::At(version) => End::Version { version, md5: head.md5.digest() },
                Place::Absent => End::Failed(Cause::NoVersion),
                Place::TooLong => End::Failed(Cause::NotEnoughRam),
            },
            (200, Mode::Update(target)) => match self.offer(target, head) {
                Ok(offer) if target == OtaTarget::Filesystem => return self.begin(&offer, now),
                Ok(offer) => {
                    let state = State::FirstBytes { offer, bytes: [0; 4], have: 0 };
                    return self.enter(state, self.options.timeouts.first_bytes, now);
                }
                Err(cause) => End::Failed(cause),
            },
            (304, Mode::Update(_)) => End::UpToDate,
            (401, _) if esp8266 => End::Failed(Cause::Unauthorized),
            (403, _) => End::Failed(Cause::Forbidden),
            (404, _) => End::Failed(Cause::NotFound),
            (status, _) => End::Failed(wrong(status)),
        };
        self.state = State::Done(end);
    }

    /// What is offered, if it can be taken.
    fn offer(&self, target: OtaTarget, head: Head) -> Result<Offer, Cause<S::Error>> {
        let device = &self.request.device;
        let size = head.size.filter(|size| *size > 0).ok_or(Cause::NoSize)?;
        let room = match target {
            OtaTarget::Sketch => Some(device.free_space).filter(|space| *space > 0),
            OtaTarget::Filesystem => device.filesystem_size,
        };
        if room.is_none() && device.family == Family::Esp32 {
            return Err(Cause::NoPartition);
        }
        let room = room.unwrap_or_default();
        let size = u32::try_from(size).ok().filter(|size| *size <= room);
        let size = size.ok_or(Cause::NotEnoughSpace)?;
        if target == OtaTarget::Filesystem && head.encoding == Encoding::Chunked {
            return Err(Cause::Encoding);
        }
        Ok(Offer { target, size, md5: head.md5, version: head.version })
    }

    /// Takes the first bytes of a sketch, and looks at them once there are enough.
    fn first_bytes(&mut self, received: &[u8], now: u64) -> usize {
        let State::FirstBytes { offer, bytes, have } = &mut self.state else { return 0 };
        let device = &self.request.device;
        // The ESP8266's client looks at four bytes, even of a shorter image, the ESP32's at one.
        let enough = if device.family == Family::Esp8266 { bytes.len() } else { 1 };
        let mut taken = 0;
        for (slot, byte) in bytes.iter_mut().take(enough).skip(*have).zip(received) {
            *slot = *byte;
            taken += 1;
        }
        *have += taken;
        if *have < enough {
            return taken;
        }
        let (offer, bytes) = (offer.clone(), *bytes);
        match not_a_sketch(device, bytes) {
            None => self.begin(&offer, now),
            Some(cause) => self.fail(cause),
        }
        self.body(bytes.get(..enough).unwrap_or_default());
        taken
    }

    /// Has the sink begin.
    fn begin(&mut self, offer: &Offer, now: u64) {
        let Offer { target, size, .. } = *offer;
        if offer.md5 == Md5Field::Wrong {
            return self.fail(Cause::WrongMd5);
        }
        let version = match &offer.version {
            Place::At(range) => text(self.buffer, range),
            Place::Absent | Place::TooLong => None,
        };
        let incoming = Incoming { target, size, md5: offer.md5.digest(), version };
        match self.sink.begin(&incoming) {
            Ok(()) => self.enter(State::Body { left: size }, self.options.timeouts.body, now),
            Err(error) => self.fail(Cause::Update(error)),
        }
    }

    /// Hands bytes to the sink, if there is a body; the last ones end it. What comes behind them is
    /// ignored.
    fn body(&mut self, bytes: &[u8]) -> usize {
        let State::Body { left } = &mut self.state else { return 0 };
        let length = u32::try_from(bytes.len()).map_or(*left, |length| length.min(*left));
        let bytes = bytes.get(..length as usize).unwrap_or_default();
        *left -= length;
        let is_last = *left == 0;
        let mut done = self.sink.write(bytes);
        if is_last && done.is_ok() {
            done = self.sink.finish();
        }
        match done {
            Ok(()) if is_last => self.state = State::Done(End::Updated),
            Ok(()) => {}
            Err(error) => self.fail(Cause::Update(error)),
        }
        bytes.len()
    }

    fn enter(&mut self, state: State<S::Error>, timeout: u32, now: u64) {
        self.state = state;
        self.wait(timeout, now);
    }

    fn wait(&mut self, timeout: u32, now: u64) {
        self.deadline = now.saturating_add(timeout.into());
    }

    fn fail(&mut self, cause: Cause<S::Error>) {
        self.state = State::Done(End::Failed(cause));
    }
}

/// Why these are not the first bytes of a sketch for the device; of an ESP32's only the first one counts.
fn not_a_sketch<E>(device: &Device<'_>, [magic, _, mode, size]: [u8; 4]) -> Option<Cause<E>> {
    let flash = FlashSettings::from_bytes(Chip::Esp8266, mode, size).size;
    match (device.family, magic) {
        (Family::Esp8266, IMAGE) if flash > Some(device.chip_size) => Some(Cause::FlashSize),
        (Family::Esp8266, IMAGE | GZIP) | (Family::Esp32, IMAGE) => None,
        _ => Some(Cause::VerifyHeader),
    }
}

fn wrong<E>(status: i64) -> Cause<E> {
    Cause::WrongStatus(u16::try_from(status).unwrap_or(u16::MAX))
}
