//! One connection: reads heads, has them answered, sends the answers. No rule lives here.
//!
//! While it waits, a connection holds no buffer: bytes are read into one that all connections of a
//! thread share, and only what is left of an unfinished head is kept. What few connections come to is
//! boxed, so that all others are small.

use std::cell::RefCell;
use std::future::{Future, poll_fn};
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use jiff::Timestamp;
use tokio::io::{AsyncWriteExt as _, ReadBuf};
use tokio::time::Instant;

use crate::app::{self, App};
use crate::catalog::Effort;
use crate::deliver::{self, Ended, OnTheWire, Outcome, Own, Terms, Then};
use crate::device::alarm::Alarm;
use crate::device::managed;
use crate::device::request::{DeviceRequest, Sorted, sort};
use crate::device::respond::{Reply, respond};
use crate::device::stream::Stream;
use crate::http::head::all_fields;
use crate::http::{Answer, BadHead, Body, Fields, Method, ParsedHead, RequestHead, Status};
use crate::limits::FastPlace;
use crate::router::DeviceRoute;
use crate::stop::Stop;
use crate::{log, people};

/// Bytes read at a time into the buffer that the connections of a thread share.
const SCRATCH: usize = 16 * 1024;

/// How long a connection that was accepted before the server was told to stop may take to send its
/// first request.
const FIRST_REQUEST_GRACE: Duration = Duration::from_millis(500);

thread_local! {
    static BUFFER: RefCell<Box<[u8]>> = RefCell::new(vec![0; SCRATCH].into());
    /// Where a head is written, before it is known how long it becomes.
    static HEAD: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
}

/// Serves a connection until it ends; `place` is dropped then.
#[expect(clippy::manual_async_fn, reason = "an `async fn` would keep every argument twice")]
pub(crate) fn serve<S: Stream, P: Send>(
    mut stream: S,
    peer: SocketAddr,
    app: Arc<App>,
    stop: Stop,
    place: P,
) -> impl Future<Output = ()> + Send {
    async move {
        let deadline = Instant::now() + app.bounds.idle.to_std();
        let mut waiting = Waiting::new(deadline);
        let mut connection =
            Connection { app: &app, peer, kept: Vec::new(), sent: 0, fast: None, unsettled: None };
        loop {
            let next = connection.next(&mut stream, &mut waiting, &stop).await;
            if !matches!(next, Next::End) {
                connection.settle(&stream);
            }
            let keep_alive = match next {
                Next::Device(request) => {
                    let keep_alive = request.framing.keep_alive && !stop.is_requested();
                    connection.answer(&mut stream, request, keep_alive, &mut waiting).await
                }
                Next::Bad(error) => {
                    let alarm = &mut waiting.alarm;
                    Box::pin(connection.refuse(&mut stream, error, alarm)).await;
                    false
                }
                Next::People => {
                    let kept = std::mem::take(&mut connection.kept);
                    Box::pin(people::serve(stream, kept, peer, Arc::clone(&app), stop)).await;
                    break;
                }
                Next::End => {
                    Box::pin(connection.finish(&mut stream, &mut waiting.alarm)).await;
                    false
                }
            };
            if !keep_alive {
                break;
            }
        }
        drop(place);
    }
}

/// What ends the waiting for a request: time, or the server's end.
struct Waiting {
    alarm: Alarm,
    /// Hears of the server's end; there from the first wait on, but not during a download.
    stopped: Option<Pin<Box<dyn Future<Output = ()> + Send>>>,
    state: State,
}

/// Where a connection is in its life.
#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    /// It has not asked for anything yet.
    New,
    /// It has.
    Served,
    /// The server is to stop: nothing more is waited for than a first request.
    Stopping,
}

impl Waiting {
    /// For a connection that has until then to ask for something.
    fn new(deadline: Instant) -> Self {
        Self { alarm: Alarm::at(deadline), stopped: None, state: State::New }
    }

    /// Waits for at most `span` from now, or for less if the server is to stop.
    fn at_most(&mut self, span: Duration) {
        if self.state != State::Stopping {
            self.alarm.set(Instant::now() + span);
        }
    }

    fn served(&mut self) {
        if self.state == State::New {
            self.state = State::Served;
        }
    }

    fn poll_over(&mut self, stop: &Stop, context: &mut Context<'_>) -> Poll<()> {
        let stopped = self.stopped.get_or_insert_with(|| Box::pin(stop.requested()));
        if self.state != State::Stopping && stopped.as_mut().poll(context).is_ready() {
            if self.state == State::Served {
                return Poll::Ready(());
            }
            self.state = State::Stopping;
            self.alarm.set(Instant::now() + FIRST_REQUEST_GRACE);
        }
        self.alarm.poll(context)
    }
}

/// What comes next on a connection.
enum Next {
    Device(Arc<DeviceRequest>),
    /// A person's request: its bytes are all in [`Connection::kept`].
    People,
    Bad(BadHead),
    /// The peer closed, or took too long.
    End,
}

struct Connection<'a> {
    app: &'a Arc<App>,
    peer: SocketAddr,
    /// Bytes received and not consumed: part of a head, or a request sent ahead.
    kept: Vec<u8>,
    /// Bytes sent on this connection.
    sent: u64,
    /// Its place among the fast ones, if it has one.
    fast: Option<FastPlace>,
    /// An image that was sent, and perhaps has not arrived yet.
    unsettled: Option<Box<Unsettled>>,
}

/// An image sent on a connection that stays open: how much of it arrived shows with what comes next.
struct Unsettled {
    request: Arc<DeviceRequest>,
    reply: Reply,
    wire: OnTheWire,
    took: Duration,
}

impl Connection<'_> {
    /// Waits for the next request, as long as the limits allow.
    async fn next<S: Stream>(
        &mut self,
        stream: &mut S,
        waiting: &mut Waiting,
        stop: &Stop,
    ) -> Next {
        let bounds = &self.app.bounds;
        let is_idle = self.kept.is_empty();
        if !is_idle && let Some(next) = self.take_kept() {
            return next;
        }
        // How long it may take from now on. Most requests are there already: for them nobody looks at
        // the clock.
        let mut span = Some(if is_idle { bounds.idle } else { bounds.head });
        let next = poll_fn(|context| {
            loop {
                let was_idle = self.kept.is_empty();
                match self.poll_receive(stream, context) {
                    Poll::Ready(Ok(Some(next))) => return Poll::Ready(next),
                    Poll::Ready(Ok(None)) if was_idle => span = Some(bounds.head),
                    Poll::Ready(Ok(None)) => {}
                    Poll::Ready(Err(_)) => return Poll::Ready(Next::End),
                    Poll::Pending => {
                        if let Some(span) = span.take() {
                            waiting.at_most(span.to_std());
                        }
                        return waiting.poll_over(stop, context).map(|()| Next::End);
                    }
                }
            }
        })
        .await;
        waiting.served();
        next
    }

    /// Receives once. `None`: the head has not ended yet.
    fn poll_receive<S: Stream>(
        &mut self,
        stream: &mut S,
        context: &mut Context<'_>,
    ) -> Poll<io::Result<Option<Next>>> {
        BUFFER.with_borrow_mut(|buffer| {
            let mut buffer = ReadBuf::new(buffer);
            ready!(Pin::new(stream).poll_read(context, &mut buffer))?;
            let received = buffer.filled();
            if received.is_empty() {
                return Poll::Ready(Ok(Some(Next::End)));
            }
            if self.kept.is_empty() {
                let (next, used) = self.read(received);
                self.kept.extend_from_slice(&received[used..]);
                return Poll::Ready(Ok(next));
            }
            // A head ends with a line: without one in sight there is no use in looking again.
            let may_end = received.contains(&b'\n');
            self.kept.extend_from_slice(received);
            if may_end || self.kept.len() > self.app.bounds.head_size.as_usize() {
                return Poll::Ready(Ok(self.take_kept()));
            }
            Poll::Ready(Ok(None))
        })
    }

    /// Reads a head from the bytes kept.
    fn take_kept(&mut self) -> Option<Next> {
        let kept = std::mem::take(&mut self.kept);
        let (next, used) = self.read(&kept);
        self.kept = kept;
        self.kept.drain(..used);
        if self.kept.is_empty() {
            self.kept = Vec::new();
        }
        next
    }

    /// Reads a head from `bytes`: what it is, and how many bytes are done with. A person's request
    /// stays where it is, for hyper to read.
    fn read(&self, bytes: &[u8]) -> (Option<Next>, usize) {
        let limit = self.app.bounds.head_size.as_usize();
        match RequestHead::parse(bytes, &mut Fields::default()) {
            ParsedHead::Partial if bytes.len() > limit => (Some(Next::Bad(BadHead::TooLarge)), 0),
            ParsedHead::Partial => (None, 0),
            ParsedHead::Bad(error) => (Some(Next::Bad(error)), 0),
            ParsedHead::Complete(_, length) if length > limit => {
                (Some(Next::Bad(BadHead::TooLarge)), 0)
            }
            ParsedHead::Complete(head, length) => {
                let next = match sort(&head, self.peer.ip()) {
                    // The people plane reads it anew, and logs it then.
                    Ok(Sorted::People) => return (Some(Next::People), 0),
                    Ok(Sorted::Device(request)) => (Some(Next::Device(request)), length),
                    Err(error) => (Some(Next::Bad(error)), 0),
                };
                log::head(head.target, all_fields(&bytes[..length]), self.peer);
                next
            }
        }
    }

    /// Answers a request; whether the connection goes on after that.
    async fn answer<S: Stream>(
        &mut self,
        stream: &mut S,
        request: Arc<DeviceRequest>,
        keep_alive: bool,
        waiting: &mut Waiting,
    ) -> bool {
        let started = Instant::now();
        let now = self.app.now();
        let mut reply = match respond(self.app, &request, now, Effort::Quick) {
            Some(reply) => reply,
            None => Box::pin(respond_with_disk(self.app, &request, now)).await,
        };
        let keep_alive = keep_alive && !reply.answer.close;
        let head_only = request.framing.method == Method::Head;
        let head = head(&mut reply.answer, keep_alive, now);
        let wire = OnTheWire {
            start: self.sent + head.len() as u64,
            length: if head_only { 0 } else { reply.answer.body.len() },
        };
        let is_image = matches!(reply.answer.body, Body::Image(_));
        if is_image {
            // It may take long, and there may be thousands of them.
            waiting.stopped = None;
        }
        let alarm = &mut waiting.alarm;
        let sent = {
            let body = if head_only { &Body::Empty } else { &reply.answer.body };
            let then = if keep_alive { Then::GoOn } else { Then::Close };
            let terms = Terms::new(self.app, started, body.len());
            let own = Own { alarm, fast: &mut self.fast, sent: &mut self.sent };
            deliver::send(stream, head, body, then, terms, own).await
        };
        // From here on the image is the kernel's: its memory and the device's place are free.
        let limits = &self.app.delivery;
        reply.answer.body = Body::Empty;
        match sent {
            _ if !is_image => {
                let outcome = Outcome::unconfirmed(sent.err());
                log::request(&request, &reply, outcome, || started.elapsed());
                if request.route == DeviceRoute::OtherMethod && sent.is_ok() {
                    // A body may be on its way: closing at once would take the answer away.
                    deliver::finish(stream, wire, limits, started, alarm).await;
                } else if !keep_alive {
                    // Closing with something unread would take back what the kernel still holds. That it
                    // fails says only that the peer is gone.
                    let _ = stream.shutdown().await;
                }
            }
            Err(ended) => {
                let outcome = Outcome { ended, ..deliver::arrived(stream, wire) };
                self.over(&request, &reply, outcome, || started.elapsed());
            }
            Ok(()) if keep_alive => {
                let took = started.elapsed();
                self.unsettled = Some(Box::new(Unsettled { request, reply, wire, took }));
            }
            Ok(()) => {
                let outcome = deliver::finish(stream, wire, limits, started, alarm).await;
                self.over(&request, &reply, outcome, || started.elapsed());
            }
        }
        keep_alive && sent.is_ok()
    }

    /// Tells what became of an image: the log, and the registry if it was an offer.
    fn over(
        &self,
        request: &DeviceRequest,
        reply: &Reply,
        outcome: Outcome,
        took: impl FnOnce() -> Duration,
    ) {
        log::request(request, reply, outcome, took);
        if let Some(offered) = reply.offered {
            managed::ended(self.app, offered, outcome);
        }
    }

    /// Settles what became of the image sent last, now that something came after it.
    fn settle<S: Stream>(&mut self, stream: &S) {
        if let Some(unsettled) = self.unsettled.take() {
            let Unsettled { request, reply, wire, took } = *unsettled;
            self.over(&request, &reply, deliver::arrived(stream, wire), || took);
        }
    }

    /// Settles the same when nothing will come any more: a device may still be taking the last bytes.
    async fn finish<S: Stream>(&mut self, stream: &mut S, alarm: &mut Alarm) {
        if let Some(unsettled) = self.unsettled.take() {
            let Unsettled { request, reply, wire, took } = *unsettled;
            let started = Instant::now();
            let mut outcome = deliver::arrived(stream, wire);
            if outcome.ended != Ended::Delivered {
                let limits = &self.app.delivery;
                outcome = deliver::finish(stream, wire, limits, started, alarm).await;
            }
            self.over(&request, &reply, outcome, || took + started.elapsed());
        }
    }

    /// Refuses what is no request that can be answered, and ends the connection. The client may still
    /// be sending: closing at once would take the answer away from it.
    async fn refuse<S: Stream>(&mut self, stream: &mut S, error: BadHead, alarm: &mut Alarm) {
        let status = Status::from(error);
        log::refused(self.peer, status.code(), error);
        let started = Instant::now();
        let head = head(&mut Answer::empty(status), false, self.app.now());
        let terms = Terms::new(self.app, started, 0);
        let none = Body::Empty;
        let own = Own { alarm, fast: &mut self.fast, sent: &mut self.sent };
        if deliver::send(stream, head, &none, Then::GoOn, terms, own).await.is_ok() {
            let wire = OnTheWire { start: self.sent, length: 0 };
            deliver::finish(stream, wire, &self.app.delivery, started, alarm).await;
        }
    }
}

/// The bytes of an answer's head. Its fields are in there then, and let go of.
fn head(answer: &mut Answer, keep_alive: bool, now: Timestamp) -> Bytes {
    HEAD.with_borrow_mut(|head| {
        head.clear();
        app::date(now, |date| answer.write_head(head, keep_alive, date));
        answer.fields = Vec::new();
        Bytes::copy_from_slice(head)
    })
}

/// Answers a request on a thread that may wait for the disk.
async fn respond_with_disk(app: &Arc<App>, request: &Arc<DeviceRequest>, now: Timestamp) -> Reply {
    let (app, request) = (Arc::clone(app), Arc::clone(request));
    tokio::task::spawn_blocking(move || respond(&app, &request, now, Effort::Disk))
        .await
        .ok()
        .flatten()
        .unwrap_or_else(|| {
            Reply::new(Answer::empty(Status::InternalError).closing(), "the server failed")
        })
}
