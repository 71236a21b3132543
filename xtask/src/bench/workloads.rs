//! The workloads, each with its servers: how they are set up, driven and measured. No goal is known
//! here.

mod closed;
mod fleet;
mod start;

use std::cell::OnceCell;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result};

use super::load::answer::{Ask, Right};
use super::load::request::{Device, Protocol, UNKNOWN, list_request, update_request};
use super::peers::{Peer, Peers, Running};
use super::rounds::{Rounds, Rule};
use super::site::{DEVICES, Image, LARGE, SMALL, Site};
use super::targets::Workload;
use crate::ui;

/// How much of everything.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Scale {
    pub(crate) rule: Rule,
    /// Connections of the closed loop.
    pub(crate) connections: usize,
    /// What one turn of the closed loop takes, and before it the warm-up.
    pub(crate) time: Duration,
    pub(crate) warm_up: Duration,
    /// Slow devices.
    pub(crate) devices: usize,
    /// Bytes a second that each takes.
    pub(crate) rate: u64,
    /// Different images.
    pub(crate) images: usize,
    /// Starts in one round.
    pub(crate) starts: usize,
    /// Files there are at the start.
    pub(crate) files: usize,
}

/// Our server takes a file to be complete once it has not changed for two seconds.
const SETTLE: Duration = Duration::from_millis(2100);

/// Where it all happens.
pub(crate) struct Bench<'a> {
    pub(crate) scale: Scale,
    pub(crate) peers: &'a Peers,
    /// The program that is measured.
    pub(crate) program: PathBuf,
    sites: &'a Path,
    one: OnceCell<Site>,
}

impl<'a> Bench<'a> {
    pub(crate) fn new(scale: Scale, peers: &'a Peers, program: PathBuf, sites: &'a Path) -> Self {
        Self { scale, peers, program, sites, one: OnceCell::new() }
    }

    /// Runs a workload with all its peers that are there.
    pub(crate) fn run(&self, workload: Workload) -> Result<Rounds> {
        match workload {
            Workload::Check => closed::check(self, workload, Protocol::Http10),
            Workload::CheckKeepAlive => closed::check(self, workload, Protocol::KeepAlive),
            Workload::Download => closed::download(self, workload, Protocol::Http10),
            Workload::DownloadKeepAlive => closed::download(self, workload, Protocol::KeepAlive),
            Workload::Slow => fleet::run(self),
            Workload::Catalog => closed::catalog(self),
            Workload::Many => closed::many(self),
            Workload::Start => start::run(self),
        }
    }

    /// A folder with one image of 1 MiB.
    fn one(&self) -> Result<&Site> {
        if self.one.get().is_none() {
            let site = self.site("one", 1, LARGE)?;
            self.one.get_or_init(|| site);
        }
        self.one.get().context("no site")
    }

    fn site(&self, name: &str, count: usize, size: usize) -> Result<Site> {
        ui::say(format_args!("  making {count} images of {} KiB", size >> 10));
        let made = Site::make(&self.sites.join(name), count, size)?;
        thread::sleep(SETTLE);
        Ok(made)
    }

    /// Starts the peers of a workload that are there; those that are not are out of all rounds.
    fn start(
        &self,
        workload: Workload,
        site: &Site,
        ready: impl Fn(&Running) -> Result<Ask>,
    ) -> Started {
        let mut started = Started::default();
        for &peer in workload.peers() {
            match self.start_one(peer, site, &ready) {
                Ok(server) => started.servers.push((peer, server)),
                Err(why) => {
                    ui::say(format_args!("  {peer} takes no part: {why:#}"));
                    started.problems.insert(peer, format!("{why:#}"));
                }
            }
        }
        started
    }

    fn start_one(
        &self,
        peer: Peer,
        site: &Site,
        ready: impl Fn(&Running) -> Result<Ask>,
    ) -> Result<Running> {
        let mut server = self.peers.start(peer, site)?;
        server.wait_for(&ready(&server)?).context("it does not answer as it must")?;
        Ok(server)
    }
}

/// The servers of a workload.
#[derive(Default)]
struct Started {
    servers: Vec<(Peer, Running)>,
    /// Those that are not there, and why.
    problems: BTreeMap<Peer, String>,
}

/// Devices that run this image, and ask for it.
fn checks(server: &Running, image: &Image, protocol: Protocol) -> Vec<Ask> {
    let ask = |number| {
        let device = Device { number, runs: &image.content.md5 };
        let path = format!("/{}", image.name);
        let request = update_request(server.address, &path, protocol, device);
        Ask { request, right: Right::NotModified }
    };
    (0..DEVICES).map(ask).collect()
}

/// So many devices that run something else, and ask for the image of the same place in `images`, from
/// its start again after the last.
fn downloads(server: &Running, images: &[&Image], count: usize, protocol: Protocol) -> Vec<Ask> {
    let ask = |(number, image): (usize, &&Image)| {
        let device = Device { number, runs: UNKNOWN };
        let path = format!("/{}", image.name);
        let request = update_request(server.address, &path, protocol, device);
        Ask { request, right: Right::Image(image.content.clone()) }
    };
    images.iter().cycle().take(count).enumerate().map(ask).collect()
}

fn list(server: &Running) -> Ask {
    let request = list_request(server.address, server.list, Protocol::Http10);
    Ask { request, right: Right::Anything }
}
