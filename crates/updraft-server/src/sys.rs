//! The system calls that no safe crate offers. The only unsafe code of the server.
#![expect(unsafe_code, reason = "calls without a safe wrapper; see each block")]

use std::fs::File;
use std::io::{self, Read as _};
use std::mem::{MaybeUninit, size_of};
use std::net::TcpListener;
use std::os::fd::{AsRawFd as _, BorrowedFd};

use rustix::fs::{MemfdFlags, SealFlags, fcntl_add_seals, memfd_create};

use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

/// What the kernel knows of a TCP connection (Linux `include/uapi/linux/tcp.h`, `struct tcp_info`, up to
/// the last field we read; what an older kernel does not know is zero).
#[repr(C)]
struct TcpInfo {
    state: u8,
    /// More states, options, and 24 words of counters.
    bytes: [u8; 7],
    words: [u32; 24],
    pacing_rate: u64,
    max_pacing_rate: u64,
    bytes_acked: u64,
    bytes_received: u64,
    segments: [u32; 6],
    times: [u64; 4],
    delivered: [u32; 2],
    bytes_sent: u64,
    bytes_retrans: u64,
    order: [u32; 3],
    snd_wnd: u32,
}

/// Bytes that the peer of a TCP connection has acknowledged since it was accepted
/// (`tcpi_bytes_acked`, Linux 4.1; RFC 4898 `tcpEStatsAppHCThruOctetsAcked`). Our closing counts
/// as one byte once it is acknowledged.
pub(crate) fn bytes_acknowledged(socket: BorrowedFd<'_>) -> io::Result<u64> {
    tcp_info(socket).map(|info| info.bytes_acked)
}

/// Bytes that the peer is ready to take now, its receive window (`tcpi_snd_wnd`, Linux 5.4; 0 before).
pub(crate) fn peer_window(socket: BorrowedFd<'_>) -> io::Result<u32> {
    tcp_info(socket).map(|info| info.snd_wnd)
}

/// Whether a TCP connection is over, in both directions: by a reset, if the peer had only said that it
/// sends no more (`TCP_CLOSE`, Linux `include/net/tcp_states.h`).
pub(crate) fn is_gone(socket: BorrowedFd<'_>) -> io::Result<bool> {
    const TCP_CLOSE: u8 = 7;
    tcp_info(socket).map(|info| info.state == TCP_CLOSE)
}

fn tcp_info(socket: BorrowedFd<'_>) -> io::Result<TcpInfo> {
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
    Ok(unsafe { info.assume_init() })
}

/// Has the runtime tell when connections wait to be accepted.
pub(crate) fn watched(listener: TcpListener) -> io::Result<AsyncFd<TcpListener>> {
    // SAFETY: a `TcpListener` owns its descriptor and names the same one as long as it lives, which is
    // all that `AsyncFd` asks for.
    unsafe { AsyncFd::register_with_interest(listener, Interest::READABLE) }.map_err(Into::into)
}

/// Bytes in memory that never change, and a file of the same bytes, which the kernel can send without
/// copying them.
#[derive(Debug)]
pub(crate) struct SharedBytes {
    file: File,
    map: memmap2::Mmap,
}

impl SharedBytes {
    /// Reads `length` bytes from the start of a file. Fewer there are an error.
    pub(crate) fn read(source: &File, length: u64) -> io::Result<Self> {
        let flags = MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING;
        // Some systems insist on the first, which older ones do not know.
        let file = memfd_create("image", flags | MemfdFlags::NOEXEC_SEAL)
            .or_else(|_| memfd_create("image", flags))?;
        let mut file = File::from(file);
        let mut from_start = source;
        io::Seek::seek(&mut from_start, io::SeekFrom::Start(0))?;
        if io::copy(&mut from_start.take(length), &mut file)? < length {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        let seals = SealFlags::WRITE | SealFlags::SHRINK | SealFlags::GROW | SealFlags::SEAL;
        fcntl_add_seals(&file, seals)?;
        // SAFETY: the file is in memory, and its seals keep everybody, us included, from changing its
        // bytes or its length from here on.
        let map = unsafe { memmap2::Mmap::map(&file) }?;
        Ok(Self { file, map })
    }

    /// The file in memory.
    pub(crate) fn file(&self) -> &File {
        &self.file
    }
}

impl std::ops::Deref for SharedBytes {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.map
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Read as _, Write as _};
    use std::net::TcpStream;
    use std::os::fd::AsFd as _;

    use super::*;

    #[test]
    fn shared_bytes_are_those_of_the_file_and_nobody_changes_them() {
        let mut source = tempfile::tempfile().unwrap();
        source.write_all(b"image and more").unwrap();
        let shared = SharedBytes::read(&source, 5).unwrap();
        assert_eq!(&*shared, b"image");
        assert_eq!(shared.file().metadata().unwrap().len(), 5);
        let mut file = shared.file();
        assert!(file.write_all(b"x").is_err());
        assert!(file.set_len(1).is_err());
        assert!(SharedBytes::read(&source, 15).is_err());
        assert!(SharedBytes::read(&source, 0).unwrap().is_empty());
    }

    #[test]
    fn what_the_peer_received_is_acknowledged() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let mut peer = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let (mut ours, _) = listener.accept().unwrap();
        assert_eq!(bytes_acknowledged(ours.as_fd()).unwrap(), 0);
        // What a socket takes that nobody has made smaller.
        assert!(peer_window(ours.as_fd()).unwrap() > 30_000);
        ours.write_all(&[7; 5000]).unwrap();
        let mut received = [0; 5000];
        peer.read_exact(&mut received).unwrap();
        // An answer carries the acknowledgement with it.
        peer.write_all(b"thanks").unwrap();
        ours.read_exact(&mut [0; 6]).unwrap();
        assert_eq!(bytes_acknowledged(ours.as_fd()).unwrap(), 5000);
        assert!(!is_gone(ours.as_fd()).unwrap());
    }

    #[test]
    fn a_reset_is_seen_even_by_who_reads_no_more() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let peer = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let (mut ours, _) = listener.accept().unwrap();
        peer.shutdown(std::net::Shutdown::Write).unwrap();
        assert_eq!(ours.read(&mut [0; 1]).unwrap(), 0);
        assert!(!is_gone(ours.as_fd()).unwrap());
        socket2::SockRef::from(&peer).set_linger(Some(std::time::Duration::ZERO)).unwrap();
        drop(peer);
        // On loopback, what was sent has arrived.
        assert!(is_gone(ours.as_fd()).unwrap());
    }
}
