//! The workloads of the closed loop: checks, downloads, lists.

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::time::Duration;

use anyhow::{Context, Result, bail};

use super::{Bench, SMALL, Started, checks, downloads, list};
use crate::bench::load::answer::{Ask, Head};
use crate::bench::load::fast::{self, Bodies, Outcome};
use crate::bench::load::figure;
use crate::bench::load::request::Protocol;
use crate::bench::peers::{Peer, Running};
use crate::bench::rounds::{Figures, Rounds, Trial};
use crate::bench::site::{DEVICES, Image, LARGE, Site};
use crate::bench::targets::{Figure, Workload};
use crate::ui;

/// Files of the catalog.
const LISTED: usize = 200;
/// Asks of the many images: each comes several times, never soon again.
const MANY_ASKS: usize = 8_000;

pub(super) fn check(bench: &Bench<'_>, workload: Workload, protocol: Protocol) -> Result<Rounds> {
    let site = bench.one()?;
    let image = &site.images[0];
    rounds(bench, workload, site, protocol, &|server| checks(server, image, protocol))
}

pub(super) fn download(
    bench: &Bench<'_>,
    workload: Workload,
    protocol: Protocol,
) -> Result<Rounds> {
    let site = bench.one()?;
    let image = [&site.images[0]];
    let asks = |server: &Running| downloads(server, &image, DEVICES, protocol);
    rounds(bench, workload, site, protocol, &asks)
}

pub(super) fn many(bench: &Bench<'_>) -> Result<Rounds> {
    let site = bench.site("many", bench.scale.images, LARGE)?;
    let images: Vec<&Image> = shuffled(&site.images, MANY_ASKS);
    let asks = |server: &Running| downloads(server, &images, MANY_ASKS, Protocol::Http10);
    rounds(bench, Workload::Many, &site, Protocol::Http10, &asks)
}

/// So many of these in random, reproducible order.
fn shuffled<T>(items: &[T], count: usize) -> Vec<&T> {
    let random = updraft_pack::filler(count * 8, 1);
    let (numbers, _) = random.as_chunks::<8>();
    let place = |number: &[u8; 8]| {
        let place = u64::from_le_bytes(*number) % items.len() as u64;
        usize::try_from(place).ok()
    };
    numbers.iter().filter_map(place).map(|place| &items[place]).collect()
}

pub(super) fn catalog(bench: &Bench<'_>) -> Result<Rounds> {
    let site = bench.site("catalog", LISTED, SMALL)?;
    // What nginx gives is what our server makes: the same bytes.
    let mut ours = bench.peers.start(Peer::Ours, &site)?;
    ours.wait_for(&list(&ours))?;
    fs::write(&site.list, full_list(&ours)?)?;
    drop(ours);
    let asks = |server: &Running| vec![list(server)];
    rounds(bench, Workload::Catalog, &site, Protocol::Http10, &asks)
}

/// The list, which must have all files.
fn full_list(server: &Running) -> Result<Vec<u8>> {
    let mut stream = TcpStream::connect(server.address)?;
    stream.write_all(&list(server).request)?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer)?;
    let head = Head::read(&answer)?.context("no head")?;
    let body = answer.split_off(head.size);
    let listed = serde_json::from_slice::<Vec<serde_json::Value>>(&body)?.len();
    if listed != LISTED {
        bail!("{listed} files in the list instead of {LISTED}");
    }
    Ok(body)
}

/// Starts the servers, has each prove that it sends the right bytes, and plays the rounds.
fn rounds(
    bench: &Bench<'_>,
    workload: Workload,
    site: &Site,
    protocol: Protocol,
    asks: &dyn Fn(&Running) -> Vec<Ask>,
) -> Result<Rounds> {
    let first = |server: &Running| asks(server).into_iter().next().context("nothing to ask");
    let Started { servers, mut problems } = bench.start(workload, site, first);
    let mut driven = Vec::new();
    for (peer, server) in servers {
        let one = Driven { peer, asks: asks(&server), pids: server.pids()?, server };
        match one.run(bench, protocol, Bodies::Compare, bench.scale.time / 4) {
            Ok(_) => driven.push(one),
            Err(why) => {
                ui::say(format_args!("  {peer} takes no part: {why:#}"));
                problems.insert(peer, format!("{why:#}"));
            }
        }
    }
    let peers: Vec<Peer> = driven.iter().map(|one| one.peer).collect();
    let mut rounds = Rounds::play(bench.scale.rule, &peers, |peer| {
        let one = driven.iter().find(|one| one.peer == peer).context("not started")?;
        let outcome = one.run(bench, protocol, Bodies::Discard, bench.scale.time)?;
        let trial = Trial { others: outcome.usage.others, figures: figures(&outcome) };
        say(peer, &trial.figures, trial.others);
        Ok(trial)
    });
    rounds.problems.extend(problems);
    Ok(rounds)
}

/// A server that is being asked.
struct Driven {
    peer: Peer,
    asks: Vec<Ask>,
    pids: Vec<u32>,
    server: Running,
}

impl Driven {
    fn run(
        &self,
        bench: &Bench<'_>,
        protocol: Protocol,
        bodies: Bodies,
        time: Duration,
    ) -> Result<Outcome> {
        let plan = fast::Plan {
            to: self.server.address,
            protocol,
            bodies,
            asks: &self.asks,
            connections: bench.scale.connections,
            threads: (std::thread::available_parallelism()?.get() / 2).clamp(1, 4),
            warm_up: bench.scale.warm_up,
            time,
        };
        fast::run(&plan, &self.pids)
    }
}

fn figures(outcome: &Outcome) -> Figures {
    let requests = figure(outcome.requests);
    let seconds = outcome.usage.time.as_secs_f64();
    let per_request = |cpus: f64| cpus * seconds * 1e6 / requests;
    Figures::from([
        (Figure::Rate, outcome.rate()),
        (Figure::ServerCpu, per_request(outcome.usage.server)),
        (Figure::LoadCpu, per_request(outcome.usage.load)),
        (Figure::Median, outcome.p50 / 1e3),
        (Figure::P99, outcome.p99 / 1e3),
        (Figure::ServerCpus, outcome.usage.server),
        (Figure::LoadCpus, outcome.busiest),
    ])
}

fn say(peer: Peer, figures: &Figures, others: f64) {
    let figure = |figure| figures.get(&figure).copied().unwrap_or(f64::NAN);
    ui::say(format_args!(
        "  {peer:<27} {:>9.0}/s {:>8.1} µs/request  p99 {:>7.2} ms  CPUs: server {:.2} load {:.2} \
         others {others:.2}",
        figure(Figure::Rate),
        figure(Figure::ServerCpu),
        figure(Figure::P99),
        figure(Figure::ServerCpus),
        figure(Figure::LoadCpus),
    ));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn many_images_come_in_an_order_that_repeats() {
        let items: Vec<usize> = (0..100).collect();
        let order = shuffled(&items, 1000);
        assert_eq!(order.len(), 1000);
        assert_eq!(order, shuffled(&items, 1000));
        let mut seen = order.clone();
        seen.sort_unstable();
        seen.dedup();
        assert!(seen.len() > 90 && order[..100] != seen[..100]);
    }
}
