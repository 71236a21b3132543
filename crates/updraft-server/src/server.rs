//! Starts and stops the server: listeners, one thread with its own runtime per core, signals.

use std::fs::{self, File, TryLockError};
use std::io;
use std::net::{self, SocketAddr, TcpListener};
use std::os::unix::fs::{DirBuilderExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::pin::pin;
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::Duration;

use rustix::io::Errno;
use rustix::net::{SocketFlags, acceptfrom_with};
use rustix::process::{Resource, getrlimit, setrlimit};
use socket2::{Domain, Protocol, Socket, Type};
use tokio::io::unix::AsyncFd;
use tokio::runtime::Runtime;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::mpsc;
use tokio::time::timeout;

use crate::app::App;
use crate::catalog::Catalog;
use crate::catalog::watch::Watcher;
use crate::clock::Clock;
use crate::config::Config;
use crate::device::connection;
use crate::device::fresh::Fresh;
use crate::limits::Full;
use crate::registry::{Registry, RegistryError};
use crate::stop::{self, Stop};
use crate::sys;

/// Why the server does not start. Every message says what to do.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The catalog cannot be read.
    #[error("cannot use {} as the catalog: {source}", path.display())]
    Catalog {
        /// The folder.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The data folder cannot be used.
    #[error("cannot use the data folder {}: {source}", path.display())]
    Data {
        /// The folder.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// Another server uses the data folder.
    #[error(
        "another server uses the data folder {}; stop it, or give this one its own with --data",
        path.display()
    )]
    DataInUse {
        /// The folder.
        path: PathBuf,
    },
    /// The data folder holds what is not ours.
    #[error(
        "the data folder {} holds other files; give the server an empty folder of its own with --data",
        path.display()
    )]
    DataNotOurs {
        /// The folder.
        path: PathBuf,
    },
    /// The data folder is the catalog, or holds it: nothing could be served.
    #[error(
        "the catalog {} is in the data folder, which is never served; give the server a folder of \
         its own with --data",
        catalog.display()
    )]
    CatalogInData {
        /// The folder of images.
        catalog: PathBuf,
    },
    /// What is kept of the fleet cannot be used.
    #[error("cannot open the fleet in {}: {source}", path.display())]
    Fleet {
        /// The data folder.
        path: PathBuf,
        /// Why.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// Somebody listens there already.
    #[error("port {} is in use on {}; choose another with -p", address.port(), address.ip())]
    PortInUse {
        /// Where.
        address: SocketAddr,
    },
    /// A port below 1024 needs a permission.
    #[error(
        "no permission to listen on port {}: run as root, or once: setcap cap_net_bind_service=+ep \
         $(command -v updraft)", address.port()
    )]
    PortForbidden {
        /// Where.
        address: SocketAddr,
    },
    /// The address cannot be listened on.
    #[error("cannot listen on {address}: {source}")]
    Listen {
        /// Where.
        address: SocketAddr,
        /// Why.
        source: io::Error,
    },
    /// The system refused something that every server needs.
    #[error("cannot start: {0}")]
    System(#[from] io::Error),
}

/// Runs the server until it is told to stop by SIGTERM or SIGINT, then lets downloads end.
pub fn run(config: &Config, clock: Arc<dyn Clock>) -> Result<(), StartError> {
    raise_descriptor_limit();
    let cores = thread::available_parallelism().map_or(1, usize::from);
    let listeners = config
        .listen
        .iter()
        .map(|&address| listen(address, cores, config))
        .collect::<Result<Vec<_>, _>>()?;
    // From here on, a signal ends the server in order.
    let signals = Signals::new()?;
    if is_inside(&config.catalog.path, &config.data) {
        return Err(StartError::CatalogInData { catalog: config.catalog.path.clone() });
    }
    let _data = lock_data(&config.data)?;
    let catalog = Catalog::open(config.catalog.clone(), &config.data, Arc::clone(&clock))
        .map_err(|source| StartError::Catalog { path: config.catalog.path.clone(), source })?;
    let catalog = Arc::new(catalog);
    let registry = Registry::open(&config.data).map_err(|source: RegistryError| {
        StartError::Fleet { path: config.data.clone(), source: source.into() }
    })?;
    let app = App::new(config, Arc::clone(&catalog), registry, clock, congestion_control());
    let app = Arc::new(app);
    let (stopper, stop) = stop::channel();

    // One listener of each address to every thread.
    let mut sockets: Vec<Vec<TcpListener>> = (0..cores).map(|_| Vec::new()).collect();
    for (address, group) in listeners {
        announce(address);
        for (thread, socket) in sockets.iter_mut().zip(group) {
            thread.push(socket);
        }
    }
    let workers = sockets
        .into_iter()
        .map(|sockets| Worker::new(Arc::clone(&app), stop.clone(), sockets))
        .collect::<io::Result<Vec<_>>>()?;
    let workers = workers
        .into_iter()
        .enumerate()
        .map(|(number, worker)| {
            thread::Builder::new().name(format!("serve-{number}")).spawn(|| worker.run())
        })
        .collect::<io::Result<Vec<JoinHandle<usize>>>>()?;
    let watcher = Watcher::start(catalog)?;

    signals.wait()?;
    tracing::info!("stopping: waiting up to {} for downloads to end", config.limits.drain);
    stopper.stop();
    let mut cut = 0;
    for worker in workers {
        match worker.join() {
            Ok(count) => cut += count,
            Err(_) => tracing::error!("a serving thread had failed"),
        }
    }
    drop(watcher);
    if let Err(error) = app.registry.close() {
        let error: &dyn std::error::Error = &error;
        tracing::error!(error, "cannot write what devices said last");
    }
    if cut == 0 {
        tracing::info!("stopped");
    } else {
        tracing::warn!("stopped; {cut} connections were cut off");
    }
    Ok(())
}

fn announce(address: SocketAddr) {
    let note = if address.ip().is_unspecified() {
        "; listening on all interfaces, -b ADDR narrows"
    } else {
        ""
    };
    tracing::info!(%address, "listening on http://{address}/{note}");
}

/// So few open files that a fleet of usual size would meet the limit.
const FEW_FILES: u64 = 4096;

/// Lets the process have as many connections as the system allows it.
fn raise_descriptor_limit() {
    let mut limit = getrlimit(Resource::Nofile);
    limit.current = limit.maximum;
    if let Err(error) = setrlimit(Resource::Nofile, limit) {
        tracing::debug!(%error, "cannot raise the limit of open files");
    }
    if let Some(most) = getrlimit(Resource::Nofile).current.filter(|most| *most < FEW_FILES) {
        tracing::warn!(
            most,
            "the system lets this process open {most} files, and every connection and every image in \
             memory is one; raise that with `ulimit -n` or systemd's LimitNOFILE"
        );
    }
}

/// Whether `inner` is `outer` or lies in it. A folder that is not there yet holds nothing.
fn is_inside(inner: &Path, outer: &Path) -> bool {
    match (inner.canonicalize(), outer.canonicalize()) {
        (Ok(inner), Ok(outer)) => inner.starts_with(outer),
        _ => false,
    }
}

/// Name of the file in the data folder that is locked while a server runs.
const LOCK: &str = "lock";

/// Makes the data folder its own, and locks it to this process.
fn lock_data(path: &Path) -> Result<File, StartError> {
    let lock = own_data(path)?;
    match lock.try_lock() {
        Ok(()) => Ok(lock),
        Err(TryLockError::WouldBlock) => Err(StartError::DataInUse { path: path.to_owned() }),
        Err(TryLockError::Error(source)) => Err(StartError::Data { path: path.to_owned(), source }),
    }
}

/// Makes the data folder, for this user alone; the file in it that a running server locks.
pub(crate) fn own_data(path: &Path) -> Result<File, StartError> {
    let problem = |source| StartError::Data { path: path.to_owned(), source };
    fs::DirBuilder::new().recursive(true).mode(0o700).create(path).map_err(problem)?;
    let lock = path.join(LOCK);
    // A folder of somebody else's must not be closed to everybody else.
    if !lock.exists() && fs::read_dir(path).map_err(problem)?.next().is_some() {
        return Err(StartError::DataNotOurs { path: path.to_owned() });
    }
    let permissions = fs::metadata(path).map_err(problem)?.permissions();
    if permissions.mode() & 0o077 != 0 {
        fs::set_permissions(path, fs::Permissions::from_mode(0o700)).map_err(problem)?;
    }
    File::create(lock).map_err(problem)
}

/// Listens on an address, once for each thread; the kernel shares connections out among them.
fn listen(
    address: SocketAddr,
    count: usize,
    config: &Config,
) -> Result<(SocketAddr, Vec<TcpListener>), StartError> {
    let problem = |source: io::Error| match source.kind() {
        io::ErrorKind::AddrInUse => StartError::PortInUse { address },
        io::ErrorKind::PermissionDenied => StartError::PortForbidden { address },
        _ => StartError::Listen { address, source },
    };
    // With SO_REUSEPORT a second server of the same user would quietly share the port with the first:
    // one socket without it tells.
    drop(socket(address, Sharing::Alone, config).map_err(problem)?);
    let first = socket(address, Sharing::Shared, config).map_err(problem)?;
    let actual = first.local_addr().map_err(problem)?;
    let mut all = vec![first];
    for _ in 1..count {
        all.push(socket(actual, Sharing::Shared, config).map_err(problem)?);
    }
    Ok((actual, all))
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Sharing {
    Alone,
    Shared,
}

/// Connections the kernel keeps waiting for us (it takes less if `net.core.somaxconn` is less).
const BACKLOG: i32 = 4096;

/// How congestion is controlled towards devices: in a way that sets no timer for every packet, as others do
/// (BBR). In a window of four packets there is nothing to spread. Every kernel has this one, and lets
/// everybody choose it.
const UNPACED: &[u8] = b"reno";

/// The name of the method that the system is set to.
fn congestion_control() -> Vec<u8> {
    let name = Socket::new(Domain::IPV4, Type::STREAM, Some(Protocol::TCP))
        .and_then(|socket| socket.tcp_congestion())
        .unwrap_or_else(|_| UNPACED.to_vec());
    name.split(|&byte| byte == 0).next().unwrap_or_default().to_vec()
}

fn socket(address: SocketAddr, sharing: Sharing, config: &Config) -> io::Result<TcpListener> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    socket.set_reuse_address(true)?;
    socket.set_reuse_port(sharing == Sharing::Shared)?;
    socket.set_nonblocking(true)?;
    // Connections inherit all three.
    socket.set_send_buffer_size(config.delivery.socket_buffer.as_usize())?;
    socket.set_tcp_nodelay(true)?;
    if let Err(error) = socket.set_tcp_congestion(UNPACED) {
        tracing::debug!(%error, "devices are sent to as the system is set to");
    }
    socket.bind(&address.into())?;
    // The one that only tells would take a device's connection and drop it.
    if sharing == Sharing::Shared {
        socket.listen(BACKLOG)?;
    }
    Ok(socket.into())
}

/// What tells the process to end.
struct Signals {
    runtime: Runtime,
    terminate: Signal,
    interrupt: Signal,
}

impl Signals {
    /// Listens for them from now on.
    fn new() -> io::Result<Self> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build()?;
        let (terminate, interrupt) = {
            let _entered = runtime.enter();
            (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?)
        };
        Ok(Self { runtime, terminate, interrupt })
    }

    /// Waits for one. The second one ends the process at once.
    fn wait(mut self) -> io::Result<()> {
        self.next();
        thread::Builder::new().name("signals".into()).spawn(move || {
            self.next();
            tracing::warn!("stopped at once by a second signal");
            std::process::exit(1);
        })?;
        Ok(())
    }

    fn next(&mut self) {
        let Self { runtime, terminate, interrupt } = self;
        runtime.block_on(async {
            tokio::select! {
                _ = terminate.recv() => {}
                _ = interrupt.recv() => {}
            }
        });
    }
}

/// What serves the connections of one thread, made before it so that nothing fails in there.
struct Worker {
    app: Arc<App>,
    stop: Stop,
    listeners: Vec<AsyncFd<TcpListener>>,
    runtime: Runtime,
}

impl Worker {
    fn new(app: Arc<App>, stop: Stop, sockets: Vec<TcpListener>) -> io::Result<Self> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let listeners = {
            let _entered = runtime.enter();
            sockets.into_iter().map(sys::watched).collect::<io::Result<_>>()?
        };
        Ok(Self { app, stop, listeners, runtime })
    }

    /// Serves until told to stop; how many connections had to be cut off then.
    fn run(self) -> usize {
        let Self { app, stop, listeners, runtime } = self;
        let cut = runtime.block_on(serve(app, stop, listeners));
        // Files being read for connections that are gone are no reason to wait.
        runtime.shutdown_background();
        cut
    }
}

async fn serve(app: Arc<App>, stop: Stop, listeners: Vec<AsyncFd<TcpListener>>) -> usize {
    // Every connection holds a sender, so the channel ends with the last one of them.
    let (open, mut ended) = mpsc::channel::<()>(1);
    let mut accepting = tokio::task::JoinSet::new();
    for listener in listeners {
        accepting.spawn(accept(listener, Arc::clone(&app), stop.clone(), open.clone()));
    }
    while accepting.join_next().await.is_some() {}
    let connections = open.downgrade();
    drop(open);
    match timeout(app.bounds.drain.to_std(), ended.recv()).await {
        Ok(_) => 0,
        Err(_) => connections.strong_count(),
    }
}

/// Accepts connections until told to stop; then those that the kernel has accepted already: nothing
/// tells their devices to come again.
async fn accept(listener: AsyncFd<TcpListener>, app: Arc<App>, stop: Stop, open: mpsc::Sender<()>) {
    let accept_some = |stop: &Stop| {
        for _ in 0..ACCEPTED_AT_ONCE {
            let Some((socket, peer)) = accept_one(listener.get_ref())? else {
                return Ok(Accepted::All);
            };
            let place = match app.limits.connect(peer.ip()) {
                Ok(place) => place,
                Err(Full::Still) => continue,
                Err(Full::Now) => {
                    let peer = peer.ip();
                    tracing::warn!(%peer, "closed: too many connections from this address");
                    continue;
                }
            };
            let (app, stop, place) = (Arc::clone(&app), stop.clone(), (place, open.clone()));
            tokio::spawn(connection::serve(Fresh::new(socket), peer, app, stop, place));
        }
        Ok::<_, io::Error>(Accepted::Some)
    };
    let mut told = pin!(stop.requested());
    loop {
        let ready = tokio::select! {
            ready = listener.readable() => ready,
            () = &mut told => break,
        };
        match ready.and_then(|ready| Ok((ready, accept_some(&stop)?))) {
            Ok((mut ready, Accepted::All)) => ready.clear_ready(),
            Ok((_, Accepted::Some)) => tokio::task::yield_now().await,
            Err(error) => {
                // Out of descriptors or memory: what is open has to end first.
                tracing::warn!(%error, "cannot accept a connection");
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        }
    }
    while let Ok(Accepted::Some) = accept_some(&stop) {}
}

/// Connections accepted before those that are open have their turn.
const ACCEPTED_AT_ONCE: usize = 64;

/// How many of the connections that wait were accepted.
enum Accepted {
    All,
    Some,
}

/// Accepts one connection, if one waits.
fn accept_one(listener: &TcpListener) -> io::Result<Option<(net::TcpStream, SocketAddr)>> {
    loop {
        match acceptfrom_with(listener, SocketFlags::NONBLOCK | SocketFlags::CLOEXEC) {
            Ok((socket, peer)) => {
                let peer = peer.and_then(|peer| peer.try_into().ok());
                return Ok(peer.map(|peer| (socket.into(), peer)));
            }
            Err(Errno::AGAIN) => return Ok(None),
            // The peer left before its turn came; the next one is as good.
            Err(Errno::INTR | Errno::CONNABORTED) => {}
            Err(error) => return Err(error.into()),
        }
    }
}
