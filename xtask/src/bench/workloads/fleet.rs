//! Thousands of slow devices at once: what they cost, and whether the server is still there for
//! others.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result, anyhow};

use super::{Bench, checks, downloads};
use crate::bench::load::answer::Ask;
use crate::bench::load::request::Protocol;
use crate::bench::load::slow::{self, Outcome};
use crate::bench::load::{figure, once, percentile, sys};
use crate::bench::meter::{self, Meter};
use crate::bench::peers::{Peer, Running};
use crate::bench::rounds::{Figures, Rounds, Rule, Trial};
use crate::bench::targets::{Figure, Workload};
use crate::ui;

/// Connections that begin in a second.
const STARTS: f64 = 2000.0;
/// How often the memory is looked at, and a check made.
const PAUSE: Duration = Duration::from_millis(250);
/// Rounds of a minute for each peer are enough at three.
const MAX_ROUNDS: usize = 3;

pub(super) fn run(bench: &Bench<'_>) -> Result<Rounds> {
    let site = bench.one()?;
    // Both ends, and what else the programs have open.
    sys::need_descriptors(bench.scale.devices as u64 + 1000)?;
    let rule = Rule { wanted: bench.scale.rule.wanted.min(MAX_ROUNDS), ..bench.scale.rule };
    Ok(Rounds::play(rule, Workload::Slow.peers(), |peer| {
        // A fresh process each time: memory that was freed is not given back.
        let mut server = bench.peers.start(peer, site)?;
        let image = &site.images[0];
        let check = checks(&server, image, Protocol::Http10).swap_remove(0);
        server.wait_for(&check)?;
        let asks = downloads(&server, &[image], bench.scale.devices, Protocol::Http10);
        // The image is in memory before what devices cost is measured.
        let first = asks.first().context("no devices")?;
        once::ask(server.address, first, Duration::from_secs(10))?;
        trial(bench, peer, &server, &asks, &check)
    }))
}

fn trial(
    bench: &Bench<'_>,
    peer: Peer,
    server: &Running,
    asks: &[Ask],
    check: &Ask,
) -> Result<Trial> {
    let scale = &bench.scale;
    let ramp = Duration::from_secs_f64(figure(asks.len() as u64) / STARTS);
    let at_pace = figure(super::LARGE as u64) / figure(scale.rate);
    let plan = slow::Plan {
        to: server.address,
        asks,
        rate: scale.rate,
        ramp,
        most: ramp + Duration::from_secs_f64(at_pace * 2.0 + 10.0),
    };
    let pids = server.pids()?;
    let open = AtomicUsize::new(0);
    let is_over = AtomicBool::new(false);
    let user = meter::own_memory(&pids)?;
    let kernel = meter::socket_memory()?;
    let meter = Meter::start(&pids)?;
    let (outcome, memory, checks) = thread::scope(|scope| {
        let fleet = scope.spawn(|| {
            let outcome = slow::run(&plan, &open);
            is_over.store(true, Ordering::Relaxed);
            outcome
        });
        let checks = scope.spawn(|| check_meanwhile(server, check, &is_over));
        let memory = watch(&pids, &open, &is_over);
        (fleet.join(), memory, checks.join())
    });
    let usage = meter.stop()?;
    let failed = |_| anyhow!("a thread of the load failed");
    let (outcome, mut checks) = (outcome.map_err(failed)??, checks.map_err(failed)??);
    let peak = memory?;
    checks.sort_unstable();
    let check = |percent| percentile(&checks, percent).map_or(f64::NAN, |us| us / 1e3);
    let connections = figure(peak.connections.max(1) as u64);
    let gigabytes = figure(outcome.bytes) / 1e9;
    let figures = Figures::from([
        (Figure::Right, outcome.share_right() * 100.0),
        (Figure::UserMemory, figure(peak.user.saturating_sub(user)) / connections),
        (Figure::KernelMemory, figure(peak.kernel.saturating_sub(kernel)) / connections),
        (Figure::CpuPerGigabyte, usage.server * usage.time.as_secs_f64() / gigabytes),
        (Figure::CheckMeanwhile, check(99)),
        (Figure::LongestCheck, check(100)),
        (Figure::Late, figure(outcome.late as u64)),
        (Figure::ServerCpus, usage.server),
        (Figure::LoadCpus, usage.load),
        (Figure::PacketCpus, usage.packets),
    ]);
    say(peer, &outcome, &figures, usage.others, peak.connections);
    Ok(Trial { others: usage.others, figures })
}

/// The most that was seen.
#[derive(Default)]
struct Peak {
    connections: usize,
    user: u64,
    kernel: u64,
}

/// Looks at connections and memory until it is over.
fn watch(pids: &[u32], open: &AtomicUsize, is_over: &AtomicBool) -> Result<Peak> {
    let mut peak = Peak::default();
    while !is_over.load(Ordering::Relaxed) {
        thread::sleep(PAUSE);
        peak.connections = peak.connections.max(open.load(Ordering::Relaxed));
        peak.user = peak.user.max(meter::own_memory(pids)?);
        peak.kernel = peak.kernel.max(meter::socket_memory()?);
    }
    Ok(peak)
}

/// One device checks again and again; what each check took, in microseconds. One that fails took as
/// long as it could have.
fn check_meanwhile(server: &Running, check: &Ask, is_over: &AtomicBool) -> Result<Vec<u32>> {
    const PATIENCE: Duration = Duration::from_secs(5);
    let mut took = Vec::new();
    while !is_over.load(Ordering::Relaxed) {
        let time = once::ask(server.address, check, PATIENCE).unwrap_or(PATIENCE);
        took.push(u32::try_from(time.as_micros())?);
        thread::sleep(PAUSE.saturating_sub(time));
    }
    Ok(took)
}

fn say(peer: Peer, outcome: &Outcome, figures: &Figures, others: f64, peak: usize) {
    let figure = |figure| figures.get(&figure).copied().unwrap_or(f64::NAN);
    let Outcome { right, wrong, broken, unfinished, late, problem, .. } = outcome;
    ui::say(format_args!(
        "  {peer:<27} right {right}, wrong {wrong}, broken {broken}, unfinished {unfinished}, at once \
         {peak}; {:.0} + {:.0} B/connection, {:.3} s/GB, check p99 {:.1} ms, load late {late} times, \
         packets {:.2} CPU, others {others:.2} CPU{}",
        figure(Figure::UserMemory),
        figure(Figure::KernelMemory),
        figure(Figure::CpuPerGigabyte),
        figure(Figure::CheckMeanwhile),
        figure(Figure::PacketCpus),
        problem.as_ref().map(|problem| format!("; first: {problem:#}")).unwrap_or_default(),
    ));
}
