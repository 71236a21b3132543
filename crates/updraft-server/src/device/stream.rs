//! What the device plane needs of a byte stream, whatever carries it.

use std::os::fd::AsFd as _;

use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;

use crate::sys;

/// A connection to a client.
pub(crate) trait Stream: AsyncRead + AsyncWrite + Unpin + Send + 'static {
    /// Bytes that the peer has acknowledged so far, where that can be told.
    fn acknowledged(&self) -> Option<u64>;

    /// Makes closing a reset, which no peer takes for the end of a body.
    fn reset_on_close(&self);
}

impl Stream for TcpStream {
    fn acknowledged(&self) -> Option<u64> {
        sys::bytes_acknowledged(self.as_fd()).ok()
    }

    fn reset_on_close(&self) {
        if let Err(error) = self.set_zero_linger() {
            tracing::debug!(%error, "cannot reset a connection");
        }
    }
}
