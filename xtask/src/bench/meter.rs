//! What processes and the machine used: CPU, memory, socket memory; from `/proc` and the CPU clocks.

use std::collections::BTreeMap;
use std::fs;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};

use super::load::{figure, sys};
use crate::ui;

/// CPUs used over a time: 1.0 is one core all the time.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Usage {
    pub(crate) time: Duration,
    pub(crate) server: f64,
    pub(crate) load: f64,
    /// By nobody in particular: interrupts on idle cores, and the kernel's own threads for packets
    /// (`ksoftirqd`). With nothing else on the network, server and load caused it.
    pub(crate) packets: f64,
    /// By all other processes, and by the machine's host.
    pub(crate) others: f64,
}

/// A measurement that has begun.
pub(crate) struct Meter<'a> {
    server: &'a [u32],
    began: Instant,
    before: Reading,
}

impl<'a> Meter<'a> {
    /// Begins to measure the server of these processes, and ourselves as the load.
    pub(crate) fn start(server: &'a [u32]) -> Result<Self> {
        Ok(Self { server, before: Reading::take(server)?, began: ui::now() })
    }

    pub(crate) fn stop(self) -> Result<Usage> {
        let after = Reading::take(self.server)?;
        let time = self.began.elapsed();
        let cpus = |from: Duration, to: Duration| {
            to.saturating_sub(from).as_secs_f64() / time.as_secs_f64()
        };
        let server = cpus(self.before.server, after.server);
        let load = cpus(self.before.load, after.load);
        let others = used_between(&self.before.others, &after.others);
        let others = cpus(Duration::ZERO, others) + cpus(self.before.stolen, after.stolen);
        let idle = cpus(self.before.idle, after.idle);
        let packets = (after.cores - idle - server - load - others).max(0.0);
        Ok(Usage { time, server, load, packets, others })
    }
}

struct Reading {
    server: Duration,
    load: Duration,
    /// Of each other process.
    others: BTreeMap<u32, Used>,
    /// By the machine's host.
    stolen: Duration,
    /// Of all cores together.
    idle: Duration,
    cores: f64,
}

impl Reading {
    fn take(server: &[u32]) -> Result<Self> {
        let stat = fs::read_to_string("/proc/stat")?;
        Ok(Self {
            server: server.iter().map(|pid| sys::process_cpu(*pid)).sum::<Result<_, _>>()?,
            others: others(server)?,
            stolen: stolen(&stat).context("/proc/stat")?,
            load: sys::process_cpu(std::process::id())?,
            idle: idle(&stat).context("/proc/stat")?,
            cores: figure(cores(&stat) as u64),
        })
    }
}

/// CPU time of one process.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Used {
    /// By itself.
    own: Duration,
    /// By all that it waited for when they ended, over their whole lives.
    waited_for: Duration,
}

/// CPU time of each process but the server's, ourselves, and the kernel's threads that take over the work
/// on packets when interrupts cannot keep up. What runs outside a container is not seen from inside.
fn others(server: &[u32]) -> Result<BTreeMap<u32, Used>> {
    let own = std::process::id();
    let is_other = |pid: &u32| *pid != own && !server.contains(pid);
    // Processes come and go.
    let used_by = |pid| Some((pid, used(&fs::read_to_string(format!("/proc/{pid}/stat")).ok()?)?));
    Ok(processes()?.into_iter().filter(is_other).filter_map(used_by).collect())
}

/// What was used between two looks. Of what ended in between, only that time counts which its parent was
/// told and which was not there before.
fn used_between(before: &BTreeMap<u32, Used>, after: &BTreeMap<u32, Used>) -> Duration {
    let (mut own, mut waited_for) = (Duration::ZERO, Duration::ZERO);
    for (pid, now) in after {
        let then = before.get(pid).copied().unwrap_or_default();
        own += now.own.saturating_sub(then.own);
        waited_for += now.waited_for.saturating_sub(then.waited_for);
    }
    let ended = before.iter().filter(|(pid, _)| !after.contains_key(pid));
    let known: Duration = ended.map(|(_, used)| used.own + used.waited_for).sum();
    own + waited_for.saturating_sub(known)
}

/// CPU time of a process, from `/proc/PID/stat`; of `ksoftirqd` none.
fn used(stat: &str) -> Option<Used> {
    let (name, rest) = stat.rsplit_once(')')?;
    if name.contains("(ksoftirqd/") {
        return None;
    }
    // Behind the name: state, ten fields, then utime, stime, cutime and cstime in 1/100 s (proc(5)).
    let mut times = rest.split_whitespace().skip(11).map(|time| time.parse::<u64>().ok());
    let mut next = || Some(Duration::from_millis(times.next()?? * 10));
    Some(Used { own: next()? + next()?, waited_for: next()? + next()? })
}

/// Time that the machine's host kept all cores together from us, from `/proc/stat`.
fn stolen(stat: &str) -> Option<Duration> {
    // cpu user nice system idle iowait irq softirq steal ..., in 1/100 s.
    let steal = stat.lines().next()?.split_whitespace().nth(8)?.parse::<u64>().ok()?;
    Some(Duration::from_millis(steal * 10))
}

/// All processes, the kernel's threads among them.
fn processes() -> Result<Vec<u32>> {
    let mut all = Vec::new();
    for entry in fs::read_dir("/proc")? {
        all.extend(entry?.file_name().to_str().and_then(|name| name.parse::<u32>().ok()));
    }
    Ok(all)
}

/// Time that all cores together had nothing to do, from `/proc/stat`: the kernel keeps this exactly,
/// the busy time only in ticks (proc(5)).
fn idle(stat: &str) -> Option<Duration> {
    // user nice system idle iowait ..., in 1/100 s.
    let mut fields = stat.lines().next()?.strip_prefix("cpu ")?.split_whitespace().skip(3);
    let mut next = || -> Option<u64> { fields.next()?.parse().ok() };
    Some(Duration::from_millis((next()? + next()?) * 10))
}

/// Cores that `/proc/stat` counts: all of the machine's.
fn cores(stat: &str) -> usize {
    let numbered = |line: &str| line.as_bytes().get(3).is_some_and(u8::is_ascii_digit);
    stat.lines().filter(|line| line.starts_with("cpu") && numbered(line)).count()
}

/// A process and all that descend from it.
pub(crate) fn family(root: u32) -> Result<Vec<u32>> {
    let mut parents = Vec::new();
    for pid in processes()? {
        // Processes come and go.
        if let Ok(stat) = fs::read_to_string(format!("/proc/{pid}/stat")) {
            parents.extend(parent(&stat).map(|parent| (pid, parent)));
        }
    }
    let mut family = vec![root];
    let mut next = 0;
    while let Some(&one) = family.get(next) {
        family.extend(parents.iter().filter(|(_, parent)| *parent == one).map(|(pid, _)| *pid));
        next += 1;
    }
    Ok(family)
}

/// The parent's number, from `/proc/PID/stat`. The name before it may hold anything.
fn parent(stat: &str) -> Option<u32> {
    stat.rsplit_once(')')?.1.split_whitespace().nth(1)?.parse().ok()
}

/// Bytes of memory of their own that these processes have (`RssAnon`).
pub(crate) fn own_memory(pids: &[u32]) -> Result<u64> {
    pids.iter().map(|pid| kib(&format!("/proc/{pid}/status"), "RssAnon:")).sum()
}

/// Bytes of memory of these processes, each page that several share counted in parts (`Pss`).
pub(crate) fn share_of_memory(pids: &[u32]) -> Result<u64> {
    pids.iter().map(|pid| kib(&format!("/proc/{pid}/smaps_rollup"), "Pss:")).sum()
}

/// Bytes that all TCP sockets of the machine hold in the kernel, both ends of each connection.
pub(crate) fn socket_memory() -> Result<u64> {
    let text = fs::read_to_string("/proc/net/sockstat")?;
    let pages = sockstat_pages(&text).context("/proc/net/sockstat")?;
    Ok(pages * sys::page_size()?)
}

fn sockstat_pages(text: &str) -> Option<u64> {
    let line = text.lines().find(|line| line.starts_with("TCP:"))?;
    line.split_once(" mem ")?.1.split_whitespace().next()?.parse().ok()
}

/// The value behind this word, KiB in the file, as bytes.
fn kib(path: &str, word: &str) -> Result<u64> {
    let text = fs::read_to_string(path).with_context(|| format!("cannot read {path}"))?;
    let line = text.lines().find_map(|line| line.strip_prefix(word));
    let value = line.and_then(|rest| rest.split_whitespace().next()?.parse::<u64>().ok());
    value.map(|kib| kib * 1024).with_context(|| format!("no {word} in {path}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn proc_is_read() {
        let stat = "cpu  228559 17 49268 656055 4434 0 1673 260 0 0\ncpu0 1 2 3 4\n";
        assert_eq!(idle(stat), Some(Duration::from_millis(6_604_890)));
        assert_eq!(idle("intr 1"), None);
        assert_eq!(cores(stat), 1);
        assert_eq!(parent("17 (a) b) S 5 17 17 0"), Some(5));
        assert_eq!(stolen(stat), Some(Duration::from_millis(2_600)));
        let stat = "17 (a) b) S 5 17 17 0 -1 1 2 3 4 5 10 20 300 4000 20 0";
        let expected =
            Used { own: Duration::from_millis(300), waited_for: Duration::from_secs(43) };
        assert_eq!(used(stat), Some(expected));
        assert_eq!(used(&stat.replace("a) b", "ksoftirqd/0")), None);
        let sockstat = "sockets: used 9\nTCP: inuse 5 orphan 0 tw 3 alloc 8 mem 12\nUDP: inuse 1\n";
        assert_eq!(sockstat_pages(sockstat), Some(12));
    }

    #[test]
    fn what_ended_counts_once() {
        let all = |list: &[(u32, u64, u64)]| {
            let used = |own, waited_for| Used {
                own: Duration::from_secs(own),
                waited_for: Duration::from_secs(waited_for),
            };
            list.iter().map(|&(pid, own, waited)| (pid, used(own, waited))).collect()
        };
        let check = |before: &[_], after: &[_], expected| {
            let used = used_between(&all(before), &all(after));
            assert_eq!(used, Duration::from_secs(expected), "{before:?} {after:?}");
        };
        check(&[(1, 5, 0), (2, 90, 0)], &[(1, 6, 0), (2, 92, 0)], 3);
        // A child of 1 that ended after two more seconds, and one that nobody waited for.
        check(&[(1, 5, 0), (2, 90, 0)], &[(1, 5, 92)], 2);
        check(&[(1, 5, 0), (2, 90, 0)], &[(1, 6, 0)], 1);
        check(&[(1, 5, 0)], &[(1, 5, 0), (3, 4, 0)], 4);
    }

    #[test]
    fn this_process_is_measured() {
        let own = std::process::id();
        assert!(family(own).unwrap().contains(&own));
        assert!(own_memory(&[own]).unwrap() > 10_000);
        assert!(share_of_memory(&[own]).unwrap() > 10_000);
        socket_memory().unwrap();
        let usage = Meter::start(&[own]).unwrap().stop().unwrap();
        assert!(usage.server >= 0.0 && usage.load >= 0.0 && usage.others >= 0.0);
        assert!(others(&[]).unwrap().len() > others(&processes().unwrap()).unwrap().len());
    }
}
