//! A connection just accepted. Most device connections carry one request that is there already and one
//! answer that fits into the socket's buffer: those end without ever having been registered with the
//! runtime, which saves a good part of what they cost.

use std::fs::File;
use std::io::{self, IoSlice, Read as _, Write as _};
use std::net::{self, Shutdown};
use std::ops::Range;
use std::os::fd::{AsFd, BorrowedFd};
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use rustix::fs::sendfile;
use rustix::net::{SendAncillaryBuffer, SendFlags, send, sendmsg};
use socket2::SockRef;
use tokio::io::{AsyncRead, AsyncWrite, Interest, ReadBuf};
use tokio::net::TcpStream;

use crate::device::stream::Stream;
use crate::sys;

/// A TCP connection that is registered with the runtime when it has to wait for the first time.
pub(crate) struct Fresh(State);

enum State {
    /// Non-blocking, and nobody waits for it. Whether it was read from: a second read goes through the
    /// runtime, whose turns keep one busy client from starving the others.
    Unregistered {
        socket: net::TcpStream,
        was_read: bool,
    },
    Registered(TcpStream),
    /// Registering failed.
    Lost,
}

impl Fresh {
    /// Takes a non-blocking socket.
    pub(crate) fn new(socket: net::TcpStream) -> Self {
        Self(State::Unregistered { socket, was_read: false })
    }

    /// The registered connection.
    fn register(&mut self) -> io::Result<Pin<&mut TcpStream>> {
        if let State::Unregistered { .. } = self.0
            && let State::Unregistered { socket, .. } = std::mem::replace(&mut self.0, State::Lost)
        {
            self.0 = State::Registered(TcpStream::from_std(socket)?);
        }
        match &mut self.0 {
            State::Registered(stream) => Ok(Pin::new(stream)),
            _ => Err(io::ErrorKind::NotConnected.into()),
        }
    }

    /// The socket as long as it is not registered.
    fn unregistered(&mut self) -> Option<&mut net::TcpStream> {
        match &mut self.0 {
            State::Unregistered { socket, .. } => Some(socket),
            _ => None,
        }
    }

    /// Sets an option of the socket. None is worth failing for.
    fn set(&self, what: &str, set: impl FnOnce(&SockRef<'_>) -> io::Result<()>) {
        if let Some(Err(error)) = self.socket().map(|socket| set(&SockRef::from(&socket))) {
            tracing::debug!(%error, "cannot set the {what} of a connection");
        }
    }

    fn socket(&self) -> Option<BorrowedFd<'_>> {
        match &self.0 {
            State::Unregistered { socket, .. } => Some(socket.as_fd()),
            State::Registered(stream) => Some(stream.as_fd()),
            State::Lost => None,
        }
    }
}

/// What came of an attempt, unless it would have to wait.
fn attempt<T>(mut operation: impl FnMut() -> io::Result<T>) -> Option<io::Result<T>> {
    loop {
        match operation() {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return None,
            result => return Some(result),
        }
    }
}

/// Waits until the socket takes something, and what came of giving it something then.
fn poll_io(
    stream: &TcpStream,
    context: &mut Context<'_>,
    mut operation: impl FnMut() -> io::Result<usize>,
) -> Poll<io::Result<usize>> {
    loop {
        ready!(stream.poll_write_ready(context))?;
        match stream.try_io(Interest::WRITABLE, &mut operation) {
            // Only this says that the socket is full: a signal, too, ends a call early.
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            result => return Poll::Ready(result),
        }
    }
}

/// Sends what only the end of the connection follows: the kernel waits for that before it sends the
/// last packet (`MSG_MORE`), which spares both sides one.
fn send_last(socket: BorrowedFd<'_>, slices: &[IoSlice<'_>]) -> io::Result<usize> {
    let flags = SendFlags::MORE | SendFlags::NOSIGNAL;
    Ok(match slices {
        [one, rest @ ..] if rest.iter().all(|slice| slice.is_empty()) => send(socket, one, flags),
        _ => sendmsg(socket, slices, &mut SendAncillaryBuffer::default(), flags),
    }?)
}

impl AsyncRead for Fresh {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if let State::Unregistered { socket, was_read: was_read @ false } = &mut self.0 {
            *was_read = true;
            if let Some(result) = attempt(|| socket.read(buffer.initialize_unfilled())) {
                buffer.advance(result?);
                return Poll::Ready(Ok(()));
            }
        }
        self.register()?.poll_read(context, buffer)
    }
}

impl AsyncWrite for Fresh {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        if let Some(socket) = self.unregistered()
            && let Some(result) = attempt(|| socket.write(bytes))
        {
            return Poll::Ready(result);
        }
        self.register()?.poll_write(context, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        if let Some(socket) = self.unregistered()
            && let Some(result) = attempt(|| socket.write_vectored(slices))
        {
            return Poll::Ready(result);
        }
        self.register()?.poll_write_vectored(context, slices)
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        // A socket has no buffer of ours.
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.unregistered() {
            Some(socket) => Poll::Ready(socket.shutdown(Shutdown::Write)),
            None => {
                ready!(self.register()?.poll_shutdown(context))?;
                Poll::Ready(Ok(()))
            }
        }
    }
}

impl Stream for Fresh {
    fn poll_write_last(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        if let Some(socket) = self.unregistered()
            && let Some(result) = attempt(|| send_last(socket.as_fd(), slices))
        {
            return Poll::Ready(result);
        }
        let stream = self.register()?;
        poll_io(&stream, context, || send_last(stream.as_fd(), slices))
    }

    fn poll_send_file(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        file: &File,
        range: Range<usize>,
    ) -> Poll<io::Result<usize>> {
        let stream = self.register()?;
        poll_io(&stream, context, || {
            let mut offset = range.start as u64;
            Ok(sendfile(stream.as_fd(), file, Some(&mut offset), range.len())?)
        })
    }

    fn set_send_buffer(&self, bytes: usize) {
        self.set("buffer", |socket| socket.set_send_buffer_size(bytes));
    }

    fn set_congestion_control(&self, name: &[u8]) {
        self.set("congestion control", |socket| socket.set_tcp_congestion(name));
    }

    fn peer_window(&self) -> Option<u32> {
        self.socket().and_then(|socket| sys::peer_window(socket).ok())
    }

    fn acknowledged(&self) -> Option<u64> {
        self.socket().and_then(|socket| sys::bytes_acknowledged(socket).ok())
    }

    fn is_gone(&self) -> bool {
        self.socket().is_none_or(|socket| sys::is_gone(socket).unwrap_or(false))
    }

    fn reset_on_close(&self) {
        self.set("end", |socket| socket.set_linger(Some(Duration::ZERO)));
    }
}
