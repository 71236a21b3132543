//! From the start of the process to its first answer, with everything known from the start before;
//! then memory when idle, and the size of the program.

use std::fs;
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result};

use super::{Bench, SMALL, checks};
use crate::bench::load::request::Protocol;
use crate::bench::load::{figure, once};
use crate::bench::meter::{self, Meter};
use crate::bench::peers::Peer;
use crate::bench::rounds::{Figures, Rounds, Trial, median};
use crate::bench::targets::{Figure, Workload};
use crate::ui;

/// How long the server has nothing to do before its memory is looked at.
const IDLE: Duration = Duration::from_secs(1);
/// How often it is asked whether it is there.
const PAUSE: Duration = Duration::from_micros(200);

pub(super) fn run(bench: &Bench<'_>) -> Result<Rounds> {
    let folder = bench.site("start", bench.scale.files, SMALL)?;
    let image = folder.images.first().context("no images")?;
    let mut first = bench.peers.start(Peer::Ours, &folder)?;
    first.wait_for(&checks(&first, image, Protocol::Http10)[0])?;
    // What it found out is on disk.
    thread::sleep(IDLE);
    drop(first);

    Ok(Rounds::play(bench.scale.rule, Workload::Start.peers(), |peer| {
        let meter = Meter::start(&[])?;
        let (mut starts, mut memory) = (Vec::new(), Vec::new());
        for _ in 0..bench.scale.starts {
            let began = ui::now();
            let server = bench.peers.start(peer, &folder)?;
            let check = checks(&server, image, Protocol::Http10).swap_remove(0);
            while once::ask(server.address, &check, Duration::from_secs(5)).is_err() {
                thread::sleep(PAUSE);
            }
            starts.push(began.elapsed().as_secs_f64() * 1e3);
            thread::sleep(IDLE);
            memory.push(figure(meter::share_of_memory(&server.pids()?)?) / 1e6);
        }
        let cpus = meter.stop()?;
        let size = figure(fs::metadata(&bench.program)?.len()) / 1e6;
        let of = |values| median(values).unwrap_or(f64::NAN);
        let figures = Figures::from([
            (Figure::StartTime, of(starts)),
            (Figure::IdleMemory, of(memory)),
            (Figure::BinarySize, size),
        ]);
        ui::say(format_args!(
            "  {peer:<27} {:.1} ms, {:.2} MB idle, others {:.2} CPU",
            figures[&Figure::StartTime],
            figures[&Figure::IdleMemory],
            cpus.others,
        ));
        Ok(Trial { others: cpus.others, figures })
    }))
}
