//! Sends answers, images above all: head and first bytes in one write, then as fast as the device
//! takes them, no slower than the limits allow. The one place that streams an image, over any stream.

mod cache;
mod file;
mod send;

use std::fs::File;
use std::future::{Future, poll_fn};
use std::io;
use std::ops::Range;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use tokio::io::{AsyncWriteExt as _, ReadBuf};
use tokio::time::Instant;

pub(crate) use cache::ImageCache;
pub(crate) use send::{Own, Terms, Then, send};

use crate::catalog::Stamp;
use crate::config::DeliveryConfig;
use crate::deliver::file::{Reading, read_chunk};
use crate::deliver::send::part;
use crate::device::alarm::Alarm;
use crate::device::stream::Stream;
use crate::fleet::settle::Ending;
use crate::fleet::{Cause, Proof};
use crate::limits::DownloadPlace;
use crate::sys::SharedBytes;

/// An image on its way, or a part of one.
#[derive(Debug)]
pub(crate) struct Delivery {
    pub(crate) source: Source,
    pub(crate) range: Range<u64>,
    /// The device's place among its downloads, held until the last byte.
    #[expect(dead_code, reason = "it is there to be dropped with the rest")]
    pub(crate) place: Option<DownloadPlace>,
}

/// Where the bytes come from.
#[derive(Clone, Debug)]
pub(crate) enum Source {
    /// Nowhere: only the head was asked for.
    HeadOnly,
    /// Memory that all connections share.
    Memory(Arc<SharedBytes>),
    /// A file, which must stay as it was when its digest was taken.
    File(Arc<File>, Stamp),
}

/// Where a body stands among the bytes sent over a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct OnTheWire {
    /// Bytes before it: answers before this one, and the head.
    pub(crate) start: u64,
    pub(crate) length: u64,
}

/// How the sending of an answer ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Outcome {
    /// Bytes of an image that the peer acknowledged. Of other bodies nobody asks.
    pub(crate) acknowledged: Option<u64>,
    pub(crate) ended: Ended,
}

/// How far an answer got.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ended {
    /// The peer has all of it.
    Delivered,
    /// All of it was sent; whether it arrived was not waited for.
    Sent,
    /// The peer closed or reset the connection before the end.
    Vanished,
    /// The peer took nothing for too long.
    Stalled,
    /// The download took longer than any is allowed to.
    TooSlow,
    /// The file changed meanwhile; the connection was reset.
    FileChanged,
}

impl Outcome {
    /// The outcome of an answer whose arrival nobody waits for, or that failed on the way.
    pub(crate) fn unconfirmed(failed: Option<Ended>) -> Self {
        Self { acknowledged: None, ended: failed.unwrap_or(Ended::Sent) }
    }
}

impl Ended {
    /// What that makes of the attempt whose image it was; nothing if nobody waited for the end.
    pub(crate) fn ending(self) -> Option<Ending> {
        Some(match self {
            Self::Delivered => Ending::Delivered(Proof::Acknowledged),
            Self::Sent => return None,
            Self::Vanished => Ending::Died(Cause::Vanished),
            Self::Stalled => Ending::Died(Cause::Stalled),
            Self::TooSlow => Ending::Died(Cause::TooSlow),
            Self::FileChanged => Ending::Died(Cause::FileChanged),
        })
    }

    /// In words, for the log; nothing for what went as it should.
    pub(crate) fn words(self) -> Option<&'static str> {
        match self {
            Self::Delivered | Self::Sent => None,
            Self::Vanished => Some("the device went away before the end"),
            Self::Stalled => Some("the device took nothing for too long"),
            Self::TooSlow => Some("the download took too long"),
            Self::FileChanged => Some("the file changed during the download"),
        }
    }
}

impl Delivery {
    /// Bytes to send.
    pub(crate) fn len(&self) -> u64 {
        self.range.end - self.range.start
    }
}

/// Bytes of an image sent before the next connection has its turn. The socket mostly takes less at once:
/// it is offered what fills it, which costs the fewest calls.
const TURN: usize = 1024 * 1024;
/// Bytes read from a file at a time: at first, while the device's speed is not known, and always from
/// one that is on the disk only.
const CHUNK: usize = 64 * 1024;
/// How often the kernel is asked for what arrived while the last bytes are on their way, at first; the
/// pauses double from there. A peer that closes when it has everything, as devices do, is heard at once.
const FIRST_PAUSE: Duration = Duration::from_millis(100);
/// The longest of these pauses; a quarter of the time after which a peer counts as stalled, if that is
/// less.
const LONGEST_PAUSE: Duration = Duration::from_secs(4);
/// How long a connection stays open for the peer to close it once it has everything.
const LAST_PAUSE: Duration = Duration::from_secs(2);

/// What became of an image that was the last thing sent, on a connection that goes on or is over.
pub(crate) fn arrived<S: Stream>(stream: &S, wire: OnTheWire) -> Outcome {
    let acknowledged = acknowledged(stream, wire);
    let ended = if acknowledged == wire.length { Ended::Delivered } else { Ended::Vanished };
    Outcome { acknowledged: Some(acknowledged), ended }
}

/// Ends a connection after its last answer: says that nothing follows, and waits until the peer has
/// everything, so that closing does not take away what is still on its way. The time counts from
/// `started`.
#[expect(clippy::manual_async_fn, reason = "an `async fn` would keep every argument twice")]
pub(crate) fn finish<'s, S: Stream>(
    stream: &'s mut S,
    wire: OnTheWire,
    limits: &'s DeliveryConfig,
    started: Instant,
    alarm: &'s mut Alarm,
) -> impl Future<Output = Outcome> + Send {
    async move {
        let stall = limits.stall.to_std();
        let deadline = started + limits.longest(wire.length);
        let longest_pause = LONGEST_PAUSE.min(stall / 4);
        let mut pause = FIRST_PAUSE.min(longest_pause);
        let mut quiet_since = Instant::now();
        let mut before = None;
        let mut peer_is_done = false;
        let (mut has_all, mut patience) = (false, stall);
        let mut ended = if stream.shutdown().await.is_ok() { Ended::Sent } else { Ended::Vanished };
        while ended == Ended::Sent {
            let until = Instant::now() + pause;
            let until = if has_all { until.min(quiet_since + patience) } else { until };
            alarm.set(until);
            match poll_fn(|context| poll_heard(stream, peer_is_done, alarm, context)).await {
                // What a client still sends is of no interest; its end is. It sends no more then, but
                // may well go on receiving.
                Heard::Something => {}
                Heard::End => peer_is_done = true,
                Heard::Error => ended = Ended::Vanished,
                Heard::Nothing => pause = longest_pause.min(pause * 2),
            }
            let now = stream.acknowledged();
            if now != before {
                (before, quiet_since) = (now, Instant::now());
            }
            has_all = now.is_some_and(|bytes| bytes >= wire.start + wire.length);
            patience = if has_all { LAST_PAUSE.min(stall) } else { stall };
            let is_late = Instant::now() >= deadline;
            if is_late || quiet_since.elapsed() >= patience {
                if !has_all {
                    ended = if is_late { Ended::TooSlow } else { Ended::Stalled };
                    stream.reset_on_close();
                }
                break;
            }
            if peer_is_done && has_all {
                break;
            }
            if peer_is_done && ended == Ended::Sent && stream.is_gone() {
                ended = Ended::Vanished;
            }
        }
        match arrived(stream, wire) {
            outcome if outcome.ended == Ended::Delivered => outcome,
            // It closed without a word about the rest.
            outcome if ended == Ended::Sent => outcome,
            outcome => Outcome { ended, ..outcome },
        }
    }
}

/// What a peer is heard of that nothing more is sent to.
enum Heard {
    Something,
    End,
    Error,
    /// Nothing until the alarm.
    Nothing,
}

fn poll_heard<S: Stream>(
    stream: &mut S,
    peer_is_done: bool,
    alarm: &mut Alarm,
    context: &mut Context<'_>,
) -> Poll<Heard> {
    let mut bytes = [0; 512];
    let mut buffer = ReadBuf::new(&mut bytes);
    if !peer_is_done && let Poll::Ready(read) = Pin::new(stream).poll_read(context, &mut buffer) {
        return Poll::Ready(match read {
            Ok(()) if buffer.filled().is_empty() => Heard::End,
            Ok(()) => Heard::Something,
            Err(_) => Heard::Error,
        });
    }
    alarm.poll(context).map(|()| Heard::Nothing)
}

/// Body bytes that the peer acknowledged: all acknowledged ones less what came before the body. A
/// stream that cannot tell is taken to have delivered nothing but what a clean end proves.
fn acknowledged<S: Stream>(stream: &S, wire: OnTheWire) -> u64 {
    stream.acknowledged().map_or(0, |bytes| bytes.saturating_sub(wire.start).min(wire.length))
}

/// An image as a body for hyper, on the rare connection that carries a device's request after a
/// person's. Read as it is sent; the device's place is held until the end.
pub(crate) fn into_body(delivery: Delivery) -> axum::body::Body {
    axum::body::Body::new(ImageBody { delivery, reading: None })
}

/// What is left of a delivery: memory in one piece, a file chunk by chunk.
struct ImageBody {
    delivery: Delivery,
    reading: Option<Reading>,
}

impl hyper::body::Body for ImageBody {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<io::Result<hyper::body::Frame<Bytes>>>> {
        let this = &mut *self;
        let Delivery { source, range, .. } = &mut this.delivery;
        if range.is_empty() {
            return Poll::Ready(None);
        }
        let (start, length) = (range.start, range.end - range.start);
        let chunk = match source {
            Source::HeadOnly => return Poll::Ready(None),
            Source::Memory(image) => {
                range.start = range.end;
                let image = Bytes::from_owner(Owner(Arc::clone(image)));
                part(&image, &(start..start + length)).map(|part| image.slice_ref(part))
            }
            Source::File(file, stamp) => {
                let length = usize::try_from(length).unwrap_or(CHUNK).min(CHUNK);
                let reading =
                    this.reading.get_or_insert_with(|| read_chunk(file, *stamp, start, length));
                let chunk = ready!(reading.as_mut().poll(context));
                this.reading = None;
                range.start += length as u64;
                chunk.map(Into::into)
            }
        };
        Poll::Ready(Some(match chunk {
            Some(chunk) => Ok(hyper::body::Frame::data(chunk)),
            None => Err(io::Error::other("the file changed")),
        }))
    }
}

/// Shared bytes in the form that hyper's bodies take.
struct Owner(Arc<SharedBytes>);

impl AsRef<[u8]> for Owner {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}
