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

use crate::config::DeliveryConfig;
use crate::deliver::file::{FilePart, Piece};
use crate::deliver::{Delivery, Ended, Source, TURN};
use crate::device::alarm::Alarm;
use crate::device::stream::Stream;
use crate::http::Body;

/// What comes after an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Then {
    /// The next request, or a wait for what the client still sends.
    GoOn,
    /// The end of the connection, at once.
    Close,
}

/// How long a peer may take.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Pace {
    /// It takes not one byte for so long.
    stall: Duration,
    /// All of it has to be over by then.
    deadline: Instant,
}

impl Pace {
    /// The pace of an answer with a body of `length` bytes, begun at `started`.
    pub(crate) fn new(limits: &DeliveryConfig, started: Instant, length: u64) -> Self {
        Self { stall: limits.stall.to_std(), deadline: started + limits.longest(length) }
    }
}

/// Sends a head and its body. `sent` counts the bytes written to this connection. The body of an
/// answer that could not be sent is cut by a reset: no peer takes that for its end.
pub(crate) fn send<'s, S: Stream>(
    stream: &'s mut S,
    head: Bytes,
    body: &'s Body,
    then: Then,
    pace: Pace,
    alarm: &'s mut Alarm,
    sent: &'s mut u64,
) -> impl Future<Output = Result<(), Ended>> + Send {
    let rest = Rest::of(body);
    let mut sending = Sending { stream, head, rest, then, pace, alarm, is_waiting: false, sent };
    async move {
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
    pace: Pace,
    alarm: &'s mut Alarm,
    /// The alarm is set for the stall that lasts since the last byte was taken.
    is_waiting: bool,
    sent: &'s mut u64,
}

/// What is left of the body.
enum Rest<'s> {
    Memory(&'s [u8]),
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
            self.is_waiting = false;
            *self.sent += written as u64;
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
        let Pace { stall, deadline } = self.pace;
        if !self.is_waiting {
            self.is_waiting = true;
            self.alarm.set(deadline.min(Instant::now() + stall));
        }
        ready!(self.alarm.poll(context));
        let is_late = Instant::now() >= deadline;
        Poll::Ready(if is_late { Ended::TooSlow } else { Ended::Stalled })
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
                part(image, range).map_or(Self::Changed, Self::Memory)
            }
            Body::Image(Delivery { source: Source::File(file, stamp), range, .. }) => {
                Self::File(Box::new(FilePart::new(file, *stamp, range.clone())))
            }
        }
    }

    fn is_empty(&self) -> bool {
        match self {
            Self::Memory(bytes) => bytes.is_empty(),
            Self::File(part) => part.is_empty(),
            Self::Changed => false,
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
            Self::File(part) => part.take_off(written),
            Self::Changed => false,
        }
    }
}

/// A part of an image in memory.
pub(super) fn part<'i>(image: &'i Bytes, range: &Range<u64>) -> Option<&'i [u8]> {
    image.get(usize::try_from(range.start).ok()?..usize::try_from(range.end).ok()?)
}
