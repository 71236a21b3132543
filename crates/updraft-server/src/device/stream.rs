//! What the device plane needs of a byte stream, whatever carries it.

use tokio::io::{AsyncRead, AsyncWrite};

/// A connection to a client.
pub(crate) trait Stream: AsyncRead + AsyncWrite + Unpin + Send + 'static {
    /// Bytes that the peer has acknowledged so far, where that can be told.
    fn acknowledged(&self) -> Option<u64>;

    /// Makes closing a reset, which no peer takes for the end of a body.
    fn reset_on_close(&self);
}
