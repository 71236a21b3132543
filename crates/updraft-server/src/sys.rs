//! The system calls that no safe crate offers. The only unsafe code of the server.
#![expect(unsafe_code, reason = "calls without a safe wrapper; see each block")]

use std::io;
use std::mem::{MaybeUninit, size_of};
use std::net::TcpListener;
use std::os::fd::{AsRawFd as _, BorrowedFd};

use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

/// Bytes that the peer of a TCP connection has acknowledged since it was accepted
/// (`tcpi_bytes_acked`, Linux 4.1; RFC 4898 `tcpEStatsAppHCThruOctetsAcked`). Our closing counts
/// as one byte once it is acknowledged.
pub(crate) fn bytes_acknowledged(socket: BorrowedFd<'_>) -> io::Result<u64> {
    /// `struct tcp_info` (Linux `include/uapi/linux/tcp.h`) up to the field we read.
    #[repr(C)]
    struct TcpInfo {
        /// States, options, and 24 words of counters.
        bytes: [u8; 8],
        words: [u32; 24],
        pacing_rate: u64,
        max_pacing_rate: u64,
        bytes_acked: u64,
    }

    let mut info = MaybeUninit::<TcpInfo>::zeroed();
    let mut length = libc::socklen_t::try_from(size_of::<TcpInfo>()).map_err(io::Error::other)?;
    // SAFETY: `info` is `length` bytes of writable memory, and both outlive the call; the kernel
    // writes at most `length` bytes and says how many.
    let result = unsafe {
        libc::getsockopt(
            socket.as_raw_fd(),
            libc::IPPROTO_TCP,
            libc::TCP_INFO,
            info.as_mut_ptr().cast(),
            &raw mut length,
        )
    };
    if result != 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: every bit pattern is a valid TcpInfo, and all of it was zeroed before the kernel wrote.
    Ok(unsafe { info.assume_init() }.bytes_acked)
}

/// Has the runtime tell when connections wait to be accepted.
pub(crate) fn watched(listener: TcpListener) -> io::Result<AsyncFd<TcpListener>> {
    // SAFETY: a `TcpListener` owns its descriptor and names the same one as long as it lives, which is
    // all that `AsyncFd` asks for.
    unsafe { AsyncFd::register_with_interest(listener, Interest::READABLE) }.map_err(Into::into)
}

#[cfg(test)]
mod tests {
    use std::io::{Read as _, Write as _};
    use std::net::TcpStream;
    use std::os::fd::AsFd as _;

    use super::*;

    #[test]
    fn what_the_peer_received_is_acknowledged() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let mut peer = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let (mut ours, _) = listener.accept().unwrap();
        assert_eq!(bytes_acknowledged(ours.as_fd()).unwrap(), 0);
        ours.write_all(&[7; 5000]).unwrap();
        let mut received = [0; 5000];
        peer.read_exact(&mut received).unwrap();
        // An answer carries the acknowledgement with it.
        peer.write_all(b"thanks").unwrap();
        ours.read_exact(&mut [0; 6]).unwrap();
        assert_eq!(bytes_acknowledged(ours.as_fd()).unwrap(), 5000);
    }
}
