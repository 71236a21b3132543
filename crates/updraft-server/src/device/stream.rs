//! What the device plane needs of a byte stream, whatever carries it.

use std::fs::File;
use std::io::{self, IoSlice};
use std::ops::Range;
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite};

/// A connection to a client.
pub(crate) trait Stream: AsyncRead + AsyncWrite + Unpin + Send + 'static {
    /// Writes as [`AsyncWrite::poll_write_vectored`] does, where nothing but the end of the connection
    /// comes after these bytes: both may leave in one packet.
    fn poll_write_last(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>>;

    /// Sends a range of a file whose bytes never change.
    fn poll_send_file(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        file: &File,
        range: Range<usize>,
    ) -> Poll<io::Result<usize>>;

    /// Gives the connection a buffer for what is sent, of so many bytes.
    fn set_send_buffer(&self, bytes: usize);

    /// Has the kernel control congestion by the method of that name.
    fn set_congestion_control(&self, name: &[u8]);

    /// Bytes that the peer is ready to take now, where that can be told.
    fn peer_window(&self) -> Option<u32>;

    /// Bytes that the peer has acknowledged so far, where that can be told.
    fn acknowledged(&self) -> Option<u64>;

    /// Whether the connection is over in both directions, where that can be told.
    fn is_gone(&self) -> bool;

    /// Makes closing a reset, which no peer takes for the end of a body.
    fn reset_on_close(&self);
}
