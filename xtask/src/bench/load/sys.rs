//! The system calls that the load generator and its meters need and the standard library lacks:
//! sockets with a device's window, epoll, CPU clocks, signals. The only unsafe code of xtask; it
//! knows nothing of HTTP.
#![expect(unsafe_code, reason = "these calls have no safe wrapper; see each block")]

use std::fs::File;
use std::io;
use std::mem::size_of;
use std::net::{Ipv4Addr, SocketAddrV4, TcpStream};
use std::os::fd::{AsRawFd as _, FromRawFd as _, OwnedFd, RawFd};
use std::os::unix::process::CommandExt as _;
use std::process::Command;
use std::ptr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// What a device's TCP stack is like; nothing set: as this machine's.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Window {
    /// Bytes the socket keeps unread (`SO_RCVBUF`).
    pub(crate) receive_buffer: Option<i32>,
    /// Largest segment it takes (`TCP_MAXSEG`).
    pub(crate) segment: Option<i32>,
}

/// Begins a connection that never blocks, from this address: bytes can be sent once it is writable.
pub(crate) fn connect(to: SocketAddrV4, from: Ipv4Addr, window: Window) -> io::Result<TcpStream> {
    let kind = libc::SOCK_STREAM | libc::SOCK_NONBLOCK | libc::SOCK_CLOEXEC;
    // SAFETY: takes and returns plain numbers.
    let socket = check(unsafe { libc::socket(libc::AF_INET, kind, 0) })?;
    // SAFETY: the descriptor was just made, and nobody else has it.
    let socket = unsafe { OwnedFd::from_raw_fd(socket) };
    let raw = socket.as_raw_fd();
    set(raw, libc::IPPROTO_TCP, libc::TCP_NODELAY, 1)?;
    if let Some(bytes) = window.receive_buffer {
        set(raw, libc::SOL_SOCKET, libc::SO_RCVBUF, bytes)?;
    }
    if let Some(bytes) = window.segment {
        set(raw, libc::IPPROTO_TCP, libc::TCP_MAXSEG, bytes)?;
    }
    // The port is chosen when both ends are known: each pair of addresses has all ports.
    set(raw, libc::IPPROTO_IP, libc::IP_BIND_ADDRESS_NO_PORT, 1)?;
    at(SocketAddrV4::new(from, 0), |address, length| {
        // SAFETY: `address` is `length` bytes and outlives the call.
        check(unsafe { libc::bind(raw, address, length) })
    })?;
    let connecting = at(to, |address, length| {
        // SAFETY: `address` is `length` bytes and outlives the call.
        check(unsafe { libc::connect(raw, address, length) })
    });
    match connecting {
        Err(error) if error.raw_os_error() != Some(libc::EINPROGRESS) => Err(error),
        _ => Ok(TcpStream::from(socket)),
    }
}

/// Throws away up to `length` received bytes without copying them; how many they were, 0 at the end.
pub(crate) fn discard(stream: &TcpStream, length: usize) -> io::Result<usize> {
    // SAFETY: with MSG_TRUNC a TCP socket writes nothing (tcp(7)); should it try, a null pointer
    // makes that an error.
    let taken = unsafe { libc::recv(stream.as_raw_fd(), ptr::null_mut(), length, libc::MSG_TRUNC) };
    usize::try_from(taken).map_err(|_| io::Error::last_os_error())
}

fn set(socket: RawFd, level: i32, option: i32, value: i32) -> io::Result<()> {
    let length = length_of::<i32>()?;
    let value = ptr::from_ref(&value).cast();
    // SAFETY: `value` is an int that outlives the call, as all options used here take.
    check(unsafe { libc::setsockopt(socket, level, option, value, length) }).map(drop)
}

/// Calls with an address in the kernel's form.
fn at<R>(
    address: SocketAddrV4,
    call: impl FnOnce(*const libc::sockaddr, libc::socklen_t) -> io::Result<R>,
) -> io::Result<R> {
    let family = libc::sa_family_t::try_from(libc::AF_INET).map_err(io::Error::other)?;
    let name = libc::sockaddr_in {
        sin_family: family,
        sin_port: address.port().to_be(),
        sin_addr: libc::in_addr { s_addr: u32::from_ne_bytes(address.ip().octets()) },
        sin_zero: [0; 8],
    };
    call(ptr::from_ref(&name).cast(), length_of::<libc::sockaddr_in>()?)
}

fn length_of<T>() -> io::Result<libc::socklen_t> {
    libc::socklen_t::try_from(size_of::<T>()).map_err(io::Error::other)
}

/// What to be told of a socket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Interest {
    /// There is something to read, or the end.
    Readable,
    /// It is connected, or failed to.
    Writable,
}

/// Tells which sockets are ready, by the number each was added with.
pub(crate) struct Epoll {
    handle: OwnedFd,
    events: Vec<libc::epoll_event>,
}

impl Epoll {
    pub(crate) fn new() -> io::Result<Self> {
        // SAFETY: takes and returns plain numbers.
        let handle = check(unsafe { libc::epoll_create1(libc::EPOLL_CLOEXEC) })?;
        // SAFETY: the descriptor was just made, and nobody else has it.
        let handle = unsafe { OwnedFd::from_raw_fd(handle) };
        Ok(Self { handle, events: vec![libc::epoll_event { events: 0, u64: 0 }; 256] })
    }

    /// Watches a socket until it is closed.
    pub(crate) fn add(&self, of: &TcpStream, number: usize, what: Interest) -> io::Result<()> {
        self.control(libc::EPOLL_CTL_ADD, of, number, what)
    }

    /// Watches it for something else.
    pub(crate) fn change(&self, of: &TcpStream, number: usize, what: Interest) -> io::Result<()> {
        self.control(libc::EPOLL_CTL_MOD, of, number, what)
    }

    fn control(&self, how: i32, of: &TcpStream, number: usize, what: Interest) -> io::Result<()> {
        let events = match what {
            Interest::Readable => libc::EPOLLIN,
            Interest::Writable => libc::EPOLLOUT,
        };
        let mut event = libc::epoll_event { events: events.cast_unsigned(), u64: number as u64 };
        let (epoll, socket) = (self.handle.as_raw_fd(), of.as_raw_fd());
        // SAFETY: both descriptors are open, and `event` outlives the call.
        check(unsafe { libc::epoll_ctl(epoll, how, socket, &raw mut event) }).map(drop)
    }

    /// Waits up to so many milliseconds and gives the numbers of sockets that are ready.
    pub(crate) fn wait(&mut self, milliseconds: i32, ready: &mut Vec<usize>) -> io::Result<()> {
        ready.clear();
        let most = i32::try_from(self.events.len()).map_err(io::Error::other)?;
        let (epoll, events) = (self.handle.as_raw_fd(), self.events.as_mut_ptr());
        // SAFETY: `events` has room for `most` of them and is borrowed for the call.
        let found = check(unsafe { libc::epoll_wait(epoll, events, most, milliseconds) });
        let found = match found {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => 0,
            found => usize::try_from(found?).map_err(io::Error::other)?,
        };
        let numbers = self.events.iter().take(found).map(|event| event.u64);
        ready.extend(numbers.filter_map(|number| usize::try_from(number).ok()));
        Ok(())
    }
}

/// A file in memory, which shares the pages that the kernel has of it anyway.
pub(crate) struct Mapped {
    start: *const u8,
    length: usize,
}

// SAFETY: the mapping is read-only and moves with its owner.
unsafe impl Send for Mapped {}
// SAFETY: nobody writes to it, so any number of threads may read.
unsafe impl Sync for Mapped {}

impl Mapped {
    /// Maps a file. It must stay as it is: the bench alone writes its images, and before it maps them.
    pub(crate) fn new(file: &File) -> io::Result<Self> {
        let length = usize::try_from(file.metadata()?.len()).map_err(io::Error::other)?;
        let (protection, descriptor) = (libc::PROT_READ, file.as_raw_fd());
        // SAFETY: the kernel chooses a free place; the result is checked below.
        let start = unsafe {
            libc::mmap(ptr::null_mut(), length, protection, libc::MAP_SHARED, descriptor, 0)
        };
        if start == libc::MAP_FAILED {
            return Err(io::Error::last_os_error());
        }
        Ok(Self { start: start.cast(), length })
    }

    pub(crate) fn bytes(&self) -> &[u8] {
        // SAFETY: `length` bytes are mapped there for reading as long as `self` lives, and the file
        // does not change.
        unsafe { std::slice::from_raw_parts(self.start, self.length) }
    }
}

impl Drop for Mapped {
    fn drop(&mut self) {
        // SAFETY: it is our mapping, and nobody borrows from it any more.
        unsafe { libc::munmap(self.start.cast_mut().cast(), self.length) };
    }
}

/// CPU time that a process and its threads, ended ones too, have used.
pub(crate) fn process_cpu(pid: u32) -> io::Result<Duration> {
    let pid = libc::pid_t::try_from(pid).map_err(io::Error::other)?;
    let mut clock = 0;
    // SAFETY: `clock` is writable for the call.
    match unsafe { libc::clock_getcpuclockid(pid, &raw mut clock) } {
        0 => clock_time(clock),
        error => Err(io::Error::from_raw_os_error(error)),
    }
}

/// CPU time that this thread has used.
pub(crate) fn thread_cpu() -> io::Result<Duration> {
    clock_time(libc::CLOCK_THREAD_CPUTIME_ID)
}

fn clock_time(clock: libc::clockid_t) -> io::Result<Duration> {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: `time` is writable for the call.
    check(unsafe { libc::clock_gettime(clock, &raw mut time) })?;
    let seconds = u64::try_from(time.tv_sec).map_err(io::Error::other)?;
    let nanoseconds = u64::try_from(time.tv_nsec).map_err(io::Error::other)?;
    Ok(Duration::from_secs(seconds) + Duration::from_nanos(nanoseconds))
}

/// Bytes of a page of memory.
pub(crate) fn page_size() -> io::Result<u64> {
    // SAFETY: takes and returns plain numbers.
    let size = unsafe { libc::sysconf(libc::_SC_PAGESIZE) };
    u64::try_from(size).map_err(|_| io::Error::last_os_error())
}

/// Lets this process and those it starts have `needed` open files. Says how if it may not.
pub(crate) fn need_descriptors(needed: u64) -> io::Result<()> {
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: `limit` is writable for the call.
    check(unsafe { libc::getrlimit(libc::RLIMIT_NOFILE, &raw mut limit) })?;
    if limit.rlim_cur >= needed {
        return Ok(());
    }
    limit = libc::rlimit { rlim_cur: needed, rlim_max: limit.rlim_max.max(needed) };
    // SAFETY: `limit` outlives the call.
    check(unsafe { libc::setrlimit(libc::RLIMIT_NOFILE, &raw const limit) }).map(drop).map_err(
        |error| {
            let help = format!("{needed} open files are needed ({error}): run as root, or first ");
            io::Error::other(help + &format!("`ulimit -Hn {needed}`"))
        },
    )
}

/// The command ends when the thread that started it does, however that ends.
pub(crate) fn end_with_us(command: &mut Command) {
    let prepare = || {
        // SAFETY: takes plain numbers; safe to call between fork and exec.
        check(unsafe { libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGTERM) }).map(drop)
    };
    // SAFETY: `prepare` makes one system call; it takes no lock and no memory.
    unsafe { command.pre_exec(prepare) };
}

/// Asks a process of ours to end.
pub(crate) fn terminate(pid: u32) {
    if let Ok(pid) = libc::pid_t::try_from(pid) {
        // SAFETY: takes plain numbers. The process is a child not waited for yet, so its number is
        // still its own.
        unsafe { libc::kill(pid, libc::SIGTERM) };
    }
}

static IS_INTERRUPTED: AtomicBool = AtomicBool::new(false);

/// From now on Ctrl-C is for [`check_interrupt`] to find: everything is still put away then.
pub(crate) fn notice_interrupts() {
    extern "C" fn note(_signal: libc::c_int) {
        IS_INTERRUPTED.store(true, Ordering::Relaxed);
    }
    let note: extern "C" fn(libc::c_int) = note;
    for signal in [libc::SIGINT, libc::SIGTERM] {
        // SAFETY: the handler only stores to an atomic, which a signal may do at any time.
        unsafe { libc::signal(signal, note as libc::sighandler_t) };
    }
}

/// Fails once somebody wants us to end.
pub(crate) fn check_interrupt() -> io::Result<()> {
    if IS_INTERRUPTED.load(Ordering::Relaxed) {
        return Err(io::Error::other("interrupted"));
    }
    Ok(())
}

fn check(result: i32) -> io::Result<i32> {
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(result) }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;
    use std::net::TcpListener;

    use super::*;

    const HERE: Ipv4Addr = Ipv4Addr::LOCALHOST;

    #[test]
    fn a_device_connects_from_its_address_and_discards_what_it_gets() {
        let listener = TcpListener::bind((HERE, 0)).unwrap();
        let to = SocketAddrV4::new(HERE, listener.local_addr().unwrap().port());
        let from = Ipv4Addr::new(127, 0, 0, 7);
        let window = Window { receive_buffer: Some(5840), segment: Some(1460) };
        let device = connect(to, from, window).unwrap();
        let (mut server, peer) = listener.accept().unwrap();
        assert_eq!(peer.ip(), from);

        let mut epoll = Epoll::new().unwrap();
        epoll.add(&device, 3, Interest::Readable).unwrap();
        let mut ready = Vec::new();
        epoll.wait(0, &mut ready).unwrap();
        assert!(ready.is_empty());
        server.write_all(b"12345").unwrap();
        epoll.wait(1000, &mut ready).unwrap();
        assert_eq!(ready, [3]);
        assert_eq!(discard(&device, 3).unwrap(), 3);
        assert_eq!(discard(&device, 1 << 20).unwrap(), 2);
        assert_eq!(discard(&device, 1).unwrap_err().kind(), io::ErrorKind::WouldBlock);
        drop(server);
        epoll.change(&device, 4, Interest::Readable).unwrap();
        epoll.wait(1000, &mut ready).unwrap();
        assert_eq!((ready, discard(&device, 1).unwrap()), (vec![4], 0));
    }

    #[test]
    fn cpu_clocks_go_forward() {
        let before = process_cpu(std::process::id()).unwrap();
        let used = thread_cpu().unwrap();
        let mut sum = 0_u64;
        while thread_cpu().unwrap() < used + Duration::from_millis(1) {
            sum = std::hint::black_box(sum + 1);
        }
        assert!(process_cpu(std::process::id()).unwrap() >= before + Duration::from_millis(1));
        assert!(process_cpu(u32::MAX).is_err());
    }

    #[test]
    fn a_mapped_file_is_its_bytes() {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(b"image").unwrap();
        assert_eq!(Mapped::new(&file).unwrap().bytes(), b"image");
    }
}
