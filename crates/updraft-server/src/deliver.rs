//! Sends answers, images above all: head and first bytes in one write, then as fast as the device
//! takes them, no slower than the limits allow. The one place that streams an image, over any stream.

mod cache;

use std::cell::RefCell;
use std::fs::File;
use std::future::{Future, poll_fn};
use std::io::{self, IoSlice, IoSliceMut};
use std::ops::Range;
use std::os::unix::fs::FileExt as _;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use rustix::io::{Errno, ReadWriteFlags, preadv2};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::time::{Instant, sleep, timeout, timeout_at};

pub(crate) use cache::ImageCache;

use crate::catalog::Stamp;
use crate::config::DeliveryConfig;
use crate::device::stream::Stream;
use crate::http::Body;
use crate::limits::DownloadPlace;

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
    Memory(Bytes),
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

/// Bytes of a shared image sent before the next connection has its turn.
const TURN: usize = 256 * 1024;
/// Bytes read from a file at a time: at first, while the device's speed is not known, and always from
/// one that is on the disk only.
const CHUNK: usize = 64 * 1024;
/// How often the kernel is asked for what arrived while the last bytes are on their way, at first; the
/// pauses double from there.
const FIRST_PAUSE: Duration = Duration::from_millis(20);
/// How long a connection stays open for the peer to close it once it has everything.
const LAST_PAUSE: Duration = Duration::from_secs(2);

/// What comes after an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Then {
    /// The next request.
    GoOn,
    /// The end of the connection, at once.
    Close,
}

/// Sends a head and its body, counting the time from `started`. `sent` counts the bytes written to
/// this connection.
pub(crate) async fn send<S: Stream>(
    stream: &mut S,
    head: Bytes,
    body: &Body,
    then: Then,
    limits: &DeliveryConfig,
    started: Instant,
    sent: &mut u64,
) -> Result<(), Ended> {
    let deadline = started + limits.longest(body.len());
    let patience = Patience { stall: limits.stall.to_std(), deadline };
    let mut sending = Sending { stream, patience, sent };
    let result = match body {
        Body::Image(Delivery { source: Source::HeadOnly, .. }) | Body::Empty => {
            sending.both(head, &[], then).await
        }
        Body::Text(text) => sending.both(head, text.as_bytes(), then).await,
        Body::Bytes(bytes) => sending.both(head, bytes, then).await,
        Body::Image(Delivery { source: Source::Memory(image), range, .. }) => {
            match part(image, range) {
                Some(part) => sending.both(head, part, then).await,
                None => Err(Ended::FileChanged),
            }
        }
        Body::Image(Delivery { source: Source::File(file, stamp), range, .. }) => {
            Box::pin(sending.file(head, file, *stamp, range.clone())).await
        }
    };
    if result.is_err() {
        // A short body would end in a close that looks like a clean one, and the kernel would keep
        // for a while what nobody takes.
        stream.reset_on_close();
    }
    result
}

/// What became of an image that was the last thing sent, on a connection that goes on or is over.
pub(crate) fn arrived<S: Stream>(stream: &S, wire: OnTheWire) -> Outcome {
    let acknowledged = acknowledged(stream, wire);
    let ended = if acknowledged == wire.length { Ended::Delivered } else { Ended::Vanished };
    Outcome { acknowledged: Some(acknowledged), ended }
}

/// Ends a connection after its last answer: says that nothing follows, and waits until the peer has
/// everything, so that closing does not take away what is still on its way. The time counts from
/// `started`.
pub(crate) async fn finish<S: Stream>(
    stream: &mut S,
    wire: OnTheWire,
    limits: &DeliveryConfig,
    started: Instant,
) -> Outcome {
    let stall = limits.stall.to_std();
    let deadline = started + limits.longest(wire.length);
    let mut pause = FIRST_PAUSE;
    let mut quiet_since = Instant::now();
    let mut before = None;
    let mut ended = if stream.shutdown().await.is_ok() { Ended::Sent } else { Ended::Vanished };
    while ended == Ended::Sent {
        let mut peer_is_done = false;
        match timeout(pause, stream.read(&mut [0; 512])).await {
            // What a client still sends is of no interest; its end is.
            Ok(Ok(length)) => peer_is_done = length == 0,
            Ok(Err(_)) => ended = Ended::Vanished,
            Err(_) => pause = longer(pause),
        }
        let now = stream.acknowledged();
        if now != before {
            (before, quiet_since) = (now, Instant::now());
        }
        let has_all = now.is_some_and(|bytes| bytes >= wire.start + wire.length);
        let patience = if has_all { LAST_PAUSE.min(stall) } else { stall };
        let is_late = Instant::now() >= deadline;
        if is_late || quiet_since.elapsed() >= patience {
            if !has_all {
                ended = if is_late { Ended::TooSlow } else { Ended::Stalled };
                stream.reset_on_close();
            }
            break;
        }
        if peer_is_done {
            if has_all {
                break;
            }
            // It sends no more, but may well go on receiving; a reset would tell that it does not.
            sleep(pause).await;
            pause = longer(pause);
        }
    }
    match arrived(stream, wire) {
        outcome if outcome.ended == Ended::Delivered => outcome,
        // It closed without a word about the rest.
        outcome if ended == Ended::Sent => outcome,
        outcome => Outcome { ended, ..outcome },
    }
}

fn longer(pause: Duration) -> Duration {
    (pause * 2).min(Duration::from_secs(1))
}

/// Body bytes that the peer acknowledged: all acknowledged ones less what came before the body. A
/// stream that cannot tell is taken to have delivered nothing but what a clean end proves.
fn acknowledged<S: Stream>(stream: &S, wire: OnTheWire) -> u64 {
    stream.acknowledged().map_or(0, |bytes| bytes.saturating_sub(wire.start).min(wire.length))
}

fn part<'i>(image: &'i Bytes, range: &Range<u64>) -> Option<&'i [u8]> {
    image.get(usize::try_from(range.start).ok()?..usize::try_from(range.end).ok()?)
}

struct Sending<'s, S> {
    stream: &'s mut S,
    patience: Patience,
    sent: &'s mut u64,
}

/// How long a peer may take.
#[derive(Clone, Copy)]
struct Patience {
    stall: Duration,
    deadline: Instant,
}

impl<S: Stream> Sending<'_, S> {
    /// Sends head and body from memory, starting with both in one write: an ESP32 looks for the first
    /// body byte only once.
    async fn both(&mut self, mut head: Bytes, mut body: &[u8], then: Then) -> Result<(), Ended> {
        while !head.is_empty() || !body.is_empty() {
            let turn = &body[..body.len().min(TURN)];
            let is_last = then == Then::Close && turn.len() == body.len();
            let write = poll_fn(|context| {
                let slices = [IoSlice::new(&head), IoSlice::new(turn)];
                let stream = Pin::new(&mut *self.stream);
                match (&*head, turn) {
                    _ if is_last => stream.poll_write_last(context, &slices),
                    // Of one piece, a plain write is the cheaper call.
                    (one, []) | ([], one) => stream.poll_write(context, one),
                    _ => stream.poll_write_vectored(context, &slices),
                }
            });
            let written = match self.patience.wait(write).await? {
                Ok(0) | Err(_) => return Err(Ended::Vanished),
                Ok(written) => written,
            };
            *self.sent += written as u64;
            let of_head = take_off(&mut head, written);
            body = &body[written - of_head..];
            if written >= TURN {
                tokio::task::yield_now().await;
            }
        }
        Ok(())
    }

    /// Sends a file piece by piece. A piece goes out only if the file is still what it was after the
    /// piece was read, so not one byte of another version does.
    async fn file(
        &mut self,
        mut head: Bytes,
        file: &Arc<File>,
        stamp: Stamp,
        range: Range<u64>,
    ) -> Result<(), Ended> {
        let mut at = range.start;
        let mut want = CHUNK;
        while at < range.end {
            let length = usize::try_from(range.end - at).unwrap_or(TURN);
            let piece = Piece { file, stamp, at, length: length.min(want) };
            let written = match self.patience.wait(piece.write(self.stream, &head)).await? {
                Ok(Some(written)) => written,
                Ok(None) => {
                    let chunk = read_chunk(Arc::clone(file), stamp, at, length.min(CHUNK)).await?;
                    self.both(std::mem::take(&mut head), &chunk, Then::GoOn).await?;
                    at += chunk.len() as u64;
                    continue;
                }
                Err(ended) => return Err(ended),
            };
            *self.sent += written as u64;
            let of_head = take_off(&mut head, written);
            at += (written - of_head) as u64;
            // A slow device takes little at a time: reading more for it would be in vain.
            let all_taken = written >= piece.length;
            want = if all_taken { (want * 2).min(TURN) } else { written.clamp(CHUNK / 4, CHUNK) };
            if all_taken {
                tokio::task::yield_now().await;
            }
        }
        self.both(head, &[], Then::GoOn).await
    }
}

/// Takes the first of `written` bytes off a head, and lets go of its memory once all of it is sent. How
/// many bytes that were.
fn take_off(head: &mut Bytes, written: usize) -> usize {
    let of_head = written.min(head.len());
    *head = if of_head < head.len() { head.slice(of_head..) } else { Bytes::new() };
    of_head
}

/// A piece of a file that is to be sent next.
struct Piece<'f> {
    file: &'f File,
    stamp: Stamp,
    at: u64,
    length: usize,
}

thread_local! {
    /// What pieces of files are read into. All connections of a thread share it: a piece that the
    /// socket does not take is read again when it does.
    static PIECE: RefCell<Box<[u8]>> = RefCell::new(vec![0; TURN].into());
}

impl Piece<'_> {
    /// Writes a head and as much of the piece as the socket takes. `None`: the piece is not in the
    /// page cache, and reading it would make everybody wait for the disk.
    async fn write<S: Stream>(&self, stream: &mut S, head: &[u8]) -> Result<Option<usize>, Ended> {
        poll_fn(|context| {
            PIECE.with_borrow_mut(|buffer| {
                let buffer = &mut buffer[..self.length];
                let read = preadv2(
                    self.file,
                    &mut [IoSliceMut::new(buffer)],
                    self.at,
                    ReadWriteFlags::NOWAIT,
                );
                let piece = match read {
                    // Some filesystems know no reading without waiting.
                    Err(Errno::AGAIN | Errno::OPNOTSUPP) => return Poll::Ready(Ok(None)),
                    Ok(length) if length > 0 => &buffer[..length],
                    _ => return Poll::Ready(Err(Ended::FileChanged)),
                };
                if Stamp::of_file(self.file) != Some(self.stamp) {
                    return Poll::Ready(Err(Ended::FileChanged));
                }
                let slices = [IoSlice::new(head), IoSlice::new(piece)];
                let slices = if head.is_empty() { &slices[1..] } else { &slices };
                match ready!(Pin::new(&mut *stream).poll_write_vectored(context, slices)) {
                    Ok(0) | Err(_) => Poll::Ready(Err(Ended::Vanished)),
                    Ok(written) => Poll::Ready(Ok(Some(written))),
                }
            })
        })
        .await
    }
}

impl Patience {
    /// Waits for one write. Most are done at once, and cost neither a look at the clock nor a timer.
    async fn wait<T>(self, write: impl Future<Output = T>) -> Result<T, Ended> {
        let mut write = pin!(write);
        let at_once = poll_fn(|context| Poll::Ready(write.as_mut().poll(context))).await;
        match at_once {
            Poll::Ready(written) => Ok(written),
            Poll::Pending => {
                let stalled = Instant::now() + self.stall;
                // Boxed: most connections never wait, and those that do are idle then.
                match Box::pin(timeout_at(stalled.min(self.deadline), write)).await {
                    Ok(written) => Ok(written),
                    Err(_) if self.deadline <= stalled => Err(Ended::TooSlow),
                    Err(_) => Err(Ended::Stalled),
                }
            }
        }
    }
}

async fn read_chunk(
    file: Arc<File>,
    stamp: Stamp,
    at: u64,
    length: usize,
) -> Result<Vec<u8>, Ended> {
    tokio::task::spawn_blocking(move || {
        let mut chunk = vec![0; length];
        file.read_exact_at(&mut chunk, at).ok()?;
        (Stamp::of_file(&file) == Some(stamp)).then_some(chunk)
    })
    .await
    .ok()
    .flatten()
    .ok_or(Ended::FileChanged)
}

/// An image as a body for hyper, on the rare connection that carries a device's request after a
/// person's. Read as it is sent; the device's place is held until the end.
pub(crate) fn into_body(delivery: Delivery) -> axum::body::Body {
    axum::body::Body::new(ImageBody { delivery, reading: None })
}

type Reading = Pin<Box<dyn Future<Output = Result<Vec<u8>, Ended>> + Send>>;

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
                part(image, &(start..start + length)).map(|part| image.slice_ref(part))
            }
            Source::File(file, stamp) => {
                let length = usize::try_from(length).unwrap_or(CHUNK).min(CHUNK);
                let (file, stamp) = (Arc::clone(file), *stamp);
                let reading = this
                    .reading
                    .get_or_insert_with(|| Box::pin(read_chunk(file, stamp, start, length)));
                let chunk = ready!(reading.as_mut().poll(context));
                this.reading = None;
                range.start += length as u64;
                chunk.ok().map(Into::into)
            }
        };
        Poll::Ready(Some(match chunk {
            Some(chunk) => Ok(hyper::body::Frame::data(chunk)),
            None => Err(io::Error::other("the file changed")),
        }))
    }
}
