//! Sends one answer: a state machine instead of nested `async` functions, because thousands of slow
//! downloads each keep one, and it holds nothing twice.

use std::future::{Future, poll_fn};
use std::io::{self, IoSlice};
use std::ops::Range;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use tokio::time::Instant;

use crate::app::App;
use crate::config::DeliveryConfig;
use crate::deliver::file::{FilePart, Piece};
use crate::deliver::{Delivery, Ended, Source, TURN};
use crate::device::alarm::Alarm;
use crate::device::stream::Stream;
use crate::http::Body;
use crate::limits::{FastPlace, Limits};
use crate::sys::SharedBytes;

/// What comes after an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Then {
    /// The next request, or a wait for what the client still sends.
    GoOn,
    /// The end of the connection, at once.
    Close,
}

/// How long a peer may take, and what is given to one that is faster than any device.
#[derive(Clone, Copy)]
pub(crate) struct Terms<'s> {
    delivery: &'s DeliveryConfig,
    limits: &'s Limits,
    /// What the system is set to.
    congestion_control: &'s [u8],
    /// All of the answer has to be over by then.
    deadline: Instant,
}

impl<'s> Terms<'s> {
    /// The terms of an answer with a body of `length` bytes, begun at `started`.
    pub(crate) fn new(app: &'s App, started: Instant, length: u64) -> Self {
        Self {
            delivery: &app.delivery,
            limits: &app.limits,
            congestion_control: &app.congestion_control,
            deadline: started + app.delivery.longest(length),
        }
    }
}

/// Bytes a millisecond from which on a peer is fast: 4 MB/s, which no module's flash can take.
const FAST: u128 = 4_000;
/// Bytes that have to be taken at once to tell that.
const TELLING: usize = 16 << 10;
/// How often a peer is looked at until it counts as stalled.
const LOOKS: u32 = 4;
/// A window from which on a peer is taken to be fast until it shows what it is. A module has 5840 bytes
/// (lwIP's `TCP_WND`), with much memory a few times as many.
const FAST_WINDOW: u32 = 48 << 10;

/// What belongs to the connection that an answer is sent on.
pub(crate) struct Own<'s> {
    pub(crate) alarm: &'s mut Alarm,
    /// Its place among those that may take more of the kernel's memory. It has it to its end: what was
    /// sent may wait in the socket that long.
    pub(crate) fast: &'s mut Option<FastPlace>,
    /// Bytes written to it.
    pub(crate) sent: &'s mut u64,
}

/// Sends a head and its body. The body of an answer that could not be sent is cut by a reset: no peer
/// takes that for its end.
pub(crate) fn send<'s, S: Stream>(
    stream: &'s mut S,
    head: Bytes,
    body: &'s Body,
    then: Then,
    terms: Terms<'s>,
    own: Own<'s>,
) -> impl Future<Output = Result<(), Ended>> + Send {
    let rest = Rest::of(body);
    let (peer, wait) = (Peer::Unknown, None);
    let mut sending = Sending { stream, head, rest, then, terms, own, wait, peer };
    async move {
        sending.look_at_peer();
        loop {
            match poll_fn(|context| sending.poll(context)).await {
                Ok(Turn::Done) => return Ok(()),
                Ok(Turn::Next) => tokio::task::yield_now().await,
                Err(ended) => {
                    sending.stream.reset_on_close();
                    return Err(ended);
                }
            }
        }
    }
}

struct Sending<'s, S> {
    stream: &'s mut S,
    head: Bytes,
    rest: Rest<'s>,
    then: Then,
    terms: Terms<'s>,
    own: Own<'s>,
    /// There while the socket takes nothing. The alarm is set for it.
    wait: Option<Wait>,
    peer: Peer,
}

/// A wait for the socket to have room.
struct Wait {
    since: Instant,
    /// When the peer was last seen to have taken something, and how much it had by then. The socket has
    /// room only when a third of its buffer is free; a slow peer may take long for that and yet go on.
    quiet_since: Instant,
    acknowledged: Option<u64>,
}

/// What a peer has shown to be.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Peer {
    /// It did not have to be waited for yet.
    Unknown,
    /// It takes what is there at once: fewer, larger pieces cost less.
    Fast,
    /// A device.
    Slow,
}

/// What is left of the body.
enum Rest<'s> {
    Memory(&'s [u8]),
    /// A range of an image in memory.
    Shared(&'s SharedBytes, Range<usize>),
    File(Box<FilePart>),
    /// The file is not what it was.
    Changed,
}

/// How far one turn got.
enum Turn {
    Done,
    /// It is other connections' turn.
    Next,
}

impl<S: Stream> Sending<'_, S> {
    /// Sends until all is sent, or the socket takes no more, or it is other connections' turn.
    fn poll(&mut self, context: &mut Context<'_>) -> Poll<Result<Turn, Ended>> {
        while !self.head.is_empty() || !self.rest.is_empty() {
            let written = match self.poll_write(context) {
                Poll::Ready(Ok(Written::Bytes(0)) | Err(_)) => Err(Ended::Vanished),
                Poll::Ready(Ok(Written::Bytes(written))) => Ok(written),
                Poll::Ready(Ok(Written::FileChanged)) => Err(Ended::FileChanged),
                Poll::Pending => return self.poll_patience(context).map(Err),
            }?;
            self.judge(written);
            *self.own.sent += written as u64;
            let of_head = self.take_off_head(written);
            let is_turn = self.rest.take_off(written - of_head);
            if is_turn && !self.rest.is_empty() {
                return Poll::Ready(Ok(Turn::Next));
            }
        }
        Poll::Ready(Ok(Turn::Done))
    }

    /// Writes once, both head and body if there are both: an ESP32 looks for the first body byte only
    /// once.
    fn poll_write(&mut self, context: &mut Context<'_>) -> Poll<io::Result<Written>> {
        let Self { stream, head, rest, then, .. } = self;
        let mut write = |context: &mut Context<'_>, piece: &[u8], is_end: bool| {
            let slices = [IoSlice::new(head), IoSlice::new(piece)];
            let stream = Pin::new(&mut **stream);
            match (&**head, piece) {
                _ if is_end && *then == Then::Close => stream.poll_write_last(context, &slices),
                // Of one piece, a plain write is the cheaper call.
                (one, []) | ([], one) => stream.poll_write(context, one),
                _ => stream.poll_write_vectored(context, &slices),
            }
        };
        let written = match rest {
            Rest::Memory(bytes) => {
                let turn = &bytes[..bytes.len().min(TURN)];
                write(context, turn, turn.len() == bytes.len())
            }
            // To a slow peer the kernel sends the pages themselves. Copying them is faster, but a copy
            // for each of thousands of devices takes memory and time.
            Rest::Shared(image, range) if self.peer == Peer::Slow && head.is_empty() => {
                Pin::new(&mut **stream).poll_send_file(context, image.file(), range.clone())
            }
            Rest::Shared(image, range) => {
                let end = range.end.min(range.start + TURN);
                let turn = image.get(range.start..end).unwrap_or_default();
                write(context, turn, end == range.end)
            }
            Rest::Changed => return Poll::Ready(Ok(Written::FileChanged)),
            Rest::File(part) => match ready!(part.poll_piece(context, write)) {
                Piece::Passed(written) => written,
                Piece::Changed => return Poll::Ready(Ok(Written::FileChanged)),
            },
        };
        written.map_ok(Written::Bytes)
    }

    /// Waits for the peer to take more; over when it has taken nothing for too long.
    fn poll_patience(&mut self, context: &mut Context<'_>) -> Poll<Ended> {
        if self.rest.is_being_read() {
            // It is the disk that is waited for.
            return Poll::Pending;
        }
        let deadline = self.terms.deadline;
        let stall = self.terms.delivery.stall.to_std();
        if self.wait.is_none() {
            let now = Instant::now();
            self.wait = Some(Wait { since: now, quiet_since: now, acknowledged: None });
            self.own.alarm.set(deadline.min(now + stall / LOOKS));
        }
        loop {
            ready!(self.own.alarm.poll(context));
            let now = Instant::now();
            if now >= deadline {
                return Poll::Ready(Ended::TooSlow);
            }
            if self.is_stalled(now, stall) {
                return Poll::Ready(Ended::Stalled);
            }
            self.own.alarm.set(deadline.min(now + stall / LOOKS));
        }
    }

    /// Whether a peer that is waited for has taken nothing for so long. It is looked at several times in
    /// that span, for it may take a little at a time.
    fn is_stalled(&mut self, now: Instant, stall: Duration) -> bool {
        let acknowledged = self.stream.acknowledged();
        let Some(wait) = &mut self.wait else { return false };
        if wait.acknowledged.is_some_and(|before| acknowledged > Some(before)) {
            wait.quiet_since = now;
        }
        wait.acknowledged = acknowledged;
        now.duration_since(wait.quiet_since) >= stall
    }

    /// Fits the connection to a peer that asks for much. One that has room for much is taken to be fast,
    /// and perhaps far away: it is sent to as the system is set to. All others are in no need of that.
    fn look_at_peer(&mut self) {
        if self.rest.is_longer_than(2 * self.terms.delivery.socket_buffer.as_usize())
            && self.stream.peer_window().is_some_and(|window| window >= FAST_WINDOW)
        {
            self.stream.set_congestion_control(self.terms.congestion_control);
            self.speed_up();
        }
    }

    /// Gives a fast peer more of the kernel's memory, if there is a place for one more.
    fn speed_up(&mut self) {
        if self.own.fast.is_none() {
            *self.own.fast = self.terms.limits.fast().ok();
        }
        if self.own.fast.is_some() {
            self.stream.set_send_buffer(self.terms.delivery.fast_socket_buffer.as_usize());
            self.peer = Peer::Fast;
        }
    }

    /// Judges a peer that was waited for by how long it took for what there is room for now.
    fn judge(&mut self, written: usize) {
        let Some(Wait { since, .. }) = self.wait.take() else { return };
        let is_fast = written >= TELLING && written as u128 >= FAST * since.elapsed().as_millis();
        match self.peer {
            Peer::Unknown | Peer::Slow if is_fast => self.speed_up(),
            Peer::Unknown => self.peer = Peer::Slow,
            Peer::Fast if !is_fast => {
                self.stream.set_send_buffer(self.terms.delivery.socket_buffer.as_usize());
                self.peer = Peer::Slow;
            }
            Peer::Fast | Peer::Slow => {}
        }
    }

    /// Takes the first of `written` bytes off the head, and lets go of its memory once all of it is
    /// sent. How many bytes that were.
    fn take_off_head(&mut self, written: usize) -> usize {
        let of_head = written.min(self.head.len());
        let is_sent = of_head == self.head.len();
        self.head = if is_sent { Bytes::new() } else { self.head.slice(of_head..) };
        of_head
    }
}

/// What came of one write.
enum Written {
    Bytes(usize),
    FileChanged,
}

impl<'s> Rest<'s> {
    fn of(body: &'s Body) -> Self {
        match body {
            Body::Image(Delivery { source: Source::HeadOnly, .. }) | Body::Empty => {
                Self::Memory(&[])
            }
            Body::Text(text) => Self::Memory(text.as_bytes()),
            Body::Bytes(bytes) => Self::Memory(bytes),
            Body::Image(Delivery { source: Source::Memory(image), range, .. }) => {
                indices(range).map_or(Self::Changed, |range| Self::Shared(image, range))
            }
            Body::Image(Delivery { source: Source::File(file, stamp), range, .. }) => {
                Self::File(Box::new(FilePart::new(file, *stamp, range.clone())))
            }
        }
    }

    fn is_empty(&self) -> bool {
        match self {
            Self::Memory(bytes) => bytes.is_empty(),
            Self::Shared(_, range) => range.is_empty(),
            Self::File(part) => part.is_empty(),
            Self::Changed => false,
        }
    }

    /// Whether it is an image of which more than so many bytes are left.
    fn is_longer_than(&self, bytes: usize) -> bool {
        match self {
            Self::Memory(_) | Self::Changed => false,
            Self::Shared(_, range) => range.len() > bytes,
            Self::File(part) => part.len() > bytes as u64,
        }
    }

    /// Whether the disk is waited for.
    fn is_being_read(&self) -> bool {
        matches!(self, Self::File(part) if part.is_being_read())
    }

    /// Takes bytes off that are sent. Whether that was all that one turn may send.
    fn take_off(&mut self, written: usize) -> bool {
        match self {
            Self::Memory(bytes) => {
                *bytes = &bytes[written..];
                written >= TURN
            }
            Self::Shared(_, range) => {
                range.start += written;
                written >= TURN
            }
            Self::File(part) => part.take_off(written),
            Self::Changed => false,
        }
    }
}

/// A part of an image in memory.
pub(super) fn part<'i>(image: &'i [u8], range: &Range<u64>) -> Option<&'i [u8]> {
    image.get(indices(range)?)
}

fn indices(range: &Range<u64>) -> Option<Range<usize>> {
    Some(usize::try_from(range.start).ok()?..usize::try_from(range.end).ok()?)
}
