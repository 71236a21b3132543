//! The servers: each started as one would start it, on a free port of loopback, and stopped when
//! dropped. They know no load.

mod nginx;
mod ours;
mod php;
mod python;

use std::fmt;
use std::fs::{self, File};
use std::net::{Ipv4Addr, SocketAddrV4, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command};
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result, bail};

use super::load::answer::Ask;
use super::load::{once, sys};
use super::meter;
use super::site::Site;
use crate::shell::{command, output};
use crate::{debian, ui};

pub(crate) use ours::build;

/// A server, with its settings.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Peer {
    Ours,
    /// nginx as it is mostly set up.
    NginxSendfile,
    /// nginx that copies, with two buffers of 128 KiB.
    NginxCopy128k,
    /// The same with buffers of 1 MiB.
    NginxCopy1m,
    /// PHP's FPM behind nginx, with a script like the one that ESP8266's documentation describes.
    Php,
    /// AutoConnect's `updateserver.py`.
    UpdateServer,
}

impl Peer {
    /// nginx with its different settings for downloads.
    pub(crate) const NGINX: [Self; 3] =
        [Self::NginxSendfile, Self::NginxCopy128k, Self::NginxCopy1m];
}

impl fmt::Display for Peer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Ours => "Updraft",
            Self::NginxSendfile => "nginx, sendfile",
            Self::NginxCopy128k => "nginx, copying 2 × 128 KiB",
            Self::NginxCopy1m => "nginx, copying 2 × 1 MiB",
            Self::Php => "PHP script",
            Self::UpdateServer => "updateserver.py",
        })
    }
}

/// Whose programs are where.
pub(crate) struct Peers {
    /// For configurations, logs and data; not served.
    pub(crate) folder: PathBuf,
    /// `updateserver.py`, if there is one.
    pub(crate) updateserver: Option<PathBuf>,
}

/// A server that runs.
pub(crate) struct Running {
    pub(crate) address: SocketAddrV4,
    /// The target of its list.
    pub(crate) list: &'static str,
    processes: Vec<Process>,
}

impl Peers {
    /// Starts a server for this site. It may not answer yet.
    pub(crate) fn start(&self, peer: Peer, site: &Site) -> Result<Running> {
        sys::check_interrupt()?;
        let folder = tempfile::tempdir_in(&self.folder)?.keep();
        match peer {
            Peer::Ours => ours::start(&folder, site),
            Peer::NginxSendfile => nginx::start(&folder, site, nginx::SENDFILE),
            Peer::NginxCopy128k => nginx::start(&folder, site, nginx::COPY_128K),
            Peer::NginxCopy1m => nginx::start(&folder, site, nginx::COPY_1M),
            Peer::Php => php::start(&folder, site),
            Peer::UpdateServer => match &self.updateserver {
                Some(script) => python::start(&folder, site, script),
                None => bail!("give its path with --updateserver"),
            },
        }
    }
}

/// What a first answer may take: ours looks at each new image before it listens.
const PATIENCE: Duration = Duration::from_mins(2);

impl Running {
    /// All processes that serve, now.
    pub(crate) fn pids(&self) -> Result<Vec<u32>> {
        let families = self.processes.iter().map(|process| meter::family(process.child.id()));
        Ok(families.collect::<Result<Vec<_>>>()?.concat())
    }

    /// Waits until it answers this right.
    pub(crate) fn wait_for(&mut self, ask: &Ask) -> Result<()> {
        let began = ui::now();
        loop {
            let Err(error) = once::ask(self.address, ask, PATIENCE) else { return Ok(()) };
            for process in &mut self.processes {
                process.must_run()?;
            }
            if began.elapsed() > PATIENCE {
                return Err(error.context("no right answer after two minutes"));
            }
            sys::check_interrupt()?;
            thread::sleep(Duration::from_millis(1));
        }
    }
}

/// A process of a server; asked to end when dropped, and waited for.
struct Process {
    child: Child,
    log: PathBuf,
}

impl Process {
    /// Starts it with its words in `log`.
    fn start(mut command: Command, log: PathBuf) -> Result<Self> {
        let words = File::create(&log)?;
        command.stdin(std::process::Stdio::null()).stdout(words.try_clone()?).stderr(words);
        sys::end_with_us(&mut command);
        let program = command.get_program().to_owned();
        let child = command.spawn().with_context(|| format!("cannot run {}", program.display()))?;
        Ok(Self { child, log })
    }

    /// Fails with its last words if it has ended.
    fn must_run(&mut self) -> Result<()> {
        match self.child.try_wait()? {
            None => Ok(()),
            Some(status) => {
                let words = fs::read_to_string(&self.log).unwrap_or_default();
                bail!("it ended with {status}: {}", words.lines().last().unwrap_or_default());
            }
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        sys::terminate(self.child.id());
        for _ in 0..500 {
            if !matches!(self.child.try_wait(), Ok(None)) {
                return;
            }
            thread::sleep(Duration::from_millis(10));
        }
        // It may be gone meanwhile.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// An address that nobody listens on.
fn free_address() -> Result<SocketAddrV4> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    Ok(SocketAddrV4::new(Ipv4Addr::LOCALHOST, listener.local_addr()?.port()))
}

/// Installs what the peers need, as root on Debian; and says their versions.
pub(crate) fn versions(peers: &[Peer]) -> Result<Vec<String>> {
    let mut versions = Vec::new();
    if peers.iter().any(|peer| ![Peer::Ours, Peer::UpdateServer].contains(peer)) {
        if nginx::program().is_none() {
            debian::need(&["nginx"])?;
        }
        versions.push(nginx::version()?);
    }
    if peers.contains(&Peer::Php) {
        if php::program().is_none() {
            debian::need(&["php-fpm"])?;
        }
        versions.push(php::version()?);
    }
    if peers.contains(&Peer::UpdateServer) {
        versions.push(output(&mut command("python3", &["--version"]))?.trim().to_owned());
    }
    Ok(versions)
}

/// The first of these programs that is there.
fn first_program(paths: impl IntoIterator<Item = PathBuf>) -> Option<PathBuf> {
    paths.into_iter().find(|path| path.is_file())
}

/// Writes a file into a server's folder.
fn write(folder: &Path, name: &str, text: &str) -> Result<PathBuf> {
    let path = folder.join(name);
    fs::write(&path, text).with_context(|| format!("cannot write {}", path.display()))?;
    Ok(path)
}
