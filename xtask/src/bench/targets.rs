//! What is measured, and what is to be reached: the goals as a table. It measures nothing.

use clap::ValueEnum;

use super::peers::Peer;

/// What the servers are asked to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, ValueEnum)]
pub(crate) enum Workload {
    /// "Is there something new?" "No": HTTP/1.0, a connection each, as devices do.
    Check,
    /// The same over connections that are kept.
    CheckKeepAlive,
    /// One image of 1 MiB over connections that are kept.
    DownloadKeepAlive,
    /// The same over HTTP/1.0.
    Download,
    /// Thousands of devices that take the image at 20 KB/s.
    Slow,
    /// AutoConnect's list of 200 files, HTTP/1.0.
    Catalog,
    /// Many different images, more than any cache holds, in random order, HTTP/1.0.
    Many,
    /// Start to first answer, memory when idle, size.
    Start,
}

impl Workload {
    /// In words, for the results.
    pub(crate) fn words(self) -> &'static str {
        match self {
            Self::Check => "check, 304, HTTP/1.0",
            Self::CheckKeepAlive => "check, 304, keep-alive",
            Self::DownloadKeepAlive => "download 1 MiB, keep-alive",
            Self::Download => "download 1 MiB, HTTP/1.0",
            Self::Slow => "slow devices at once",
            Self::Catalog => "catalog of 200 files, HTTP/1.0",
            Self::Many => "many different images, HTTP/1.0",
            Self::Start => "start, idle, size",
        }
    }

    /// Who takes part; ours always.
    pub(crate) fn peers(self) -> &'static [Peer] {
        use Peer::{NginxCopy1m, NginxCopy128k, NginxSendfile, Ours, Php, UpdateServer};
        match self {
            Self::Check => &[Ours, NginxSendfile, Php],
            Self::CheckKeepAlive | Self::Slow => &[Ours, NginxSendfile],
            Self::DownloadKeepAlive | Self::Many => {
                &[Ours, NginxSendfile, NginxCopy128k, NginxCopy1m]
            }
            Self::Download => &[Ours, NginxSendfile, NginxCopy128k, NginxCopy1m, UpdateServer],
            Self::Catalog => &[Ours, NginxSendfile, UpdateServer],
            Self::Start => &[Ours],
        }
    }
}

/// What is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Figure {
    /// Requests a second.
    Rate,
    /// CPU microseconds a request, by the server's processes.
    ServerCpu,
    /// The same by the load.
    LoadCpu,
    /// Half of the answers took no longer; milliseconds.
    Median,
    /// 99 of 100 took no longer; milliseconds.
    P99,
    /// CPUs that the server used.
    ServerCpus,
    /// CPUs that the busiest thread of the load used.
    LoadCpus,
    /// CPUs that interrupts and the kernel's own threads used for packets of both sides.
    PacketCpus,
    /// Of all devices, those that got their image byte for byte, in percent.
    Right,
    /// Bytes of the server's own memory, for each connection.
    UserMemory,
    /// Bytes of the kernel's memory, both ends, for each connection.
    KernelMemory,
    /// CPU seconds the server used for each GB (10^9 bytes).
    CpuPerGigabyte,
    /// What a check takes meanwhile, 99 of 100; milliseconds.
    CheckMeanwhile,
    /// The longest of them.
    LongestCheck,
    /// How often the load was late to read: then the devices were slower than they should be.
    Late,
    /// From the start of the process to the end of the first answer; milliseconds.
    StartTime,
    /// Memory of the idle server, MB (10^6 bytes).
    IdleMemory,
    /// The program without symbols, MB.
    BinarySize,
}

impl Figure {
    /// In words, for the results.
    pub(crate) fn words(self) -> &'static str {
        match self {
            Self::Rate => "requests/s",
            Self::ServerCpu => "server CPU µs/request",
            Self::LoadCpu => "load CPU µs/request",
            Self::Median => "median ms",
            Self::P99 => "p99 ms",
            Self::ServerCpus => "server CPUs",
            Self::LoadCpus => "load CPUs",
            Self::PacketCpus => "CPUs for packets",
            Self::Right => "right images, %",
            Self::UserMemory => "user memory B/connection",
            Self::KernelMemory => "kernel memory B/connection, both ends",
            Self::CpuPerGigabyte => "server CPU s/GB",
            Self::CheckMeanwhile => "a check meanwhile, p99 ms",
            Self::LongestCheck => "a check meanwhile, longest ms",
            Self::Late => "load late, times",
            Self::StartTime => "start to first answer, ms",
            Self::IdleMemory => "idle memory (PSS), MB",
            Self::BinarySize => "stripped binary, MB",
        }
    }
}

/// Whom ours is held against.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Against {
    /// Nobody: the figure itself counts.
    Itself,
    /// This peer.
    One(Peer),
    /// nginx with the setting that gives it most requests a second.
    BestNginx,
}

/// What is divided by what.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ratio {
    OursByPeer,
    PeerByOurs,
}

/// What a ratio, or a figure, must come to.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Bound {
    AtLeast(f64),
    AtMost(f64),
}

impl Bound {
    pub(crate) fn holds(self, value: f64) -> bool {
        match self {
            Self::AtLeast(bound) => value >= bound,
            Self::AtMost(bound) => value <= bound,
        }
    }
}

/// A row of the results.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Goal {
    pub(crate) workload: Workload,
    pub(crate) figure: Figure,
    pub(crate) against: Against,
    pub(crate) ratio: Ratio,
    /// To reach first; without one, the row is there to be seen.
    pub(crate) first: Option<Bound>,
    /// To reach then.
    pub(crate) then: Option<Bound>,
}

/// What a goal says beyond its workload.
type Row = (Figure, Against, Ratio, Option<Bound>, Option<Bound>);

/// All rows, in their order.
pub(crate) fn goals() -> Vec<Goal> {
    use Bound::{AtLeast, AtMost};
    use Figure::{
        BinarySize, CheckMeanwhile, CpuPerGigabyte, IdleMemory, KernelMemory, Rate, Right,
        ServerCpu, StartTime, UserMemory,
    };
    use Peer::{NginxSendfile, Php, UpdateServer};
    use Ratio::{OursByPeer, PeerByOurs};

    let nginx = Against::One(NginxSendfile);
    let best = Against::BestNginx;
    let php = Against::One(Php);
    let python = Against::One(UpdateServer);
    let itself = Against::Itself;
    let mut goals = Vec::new();
    let mut of = |workload, rows: &[Row]| {
        goals.extend(rows.iter().map(|&(figure, against, ratio, first, then)| Goal {
            workload,
            figure,
            against,
            ratio,
            first,
            then,
        }));
    };
    let at_least = |bound| Some(AtLeast(bound));
    let at_most = |bound| Some(AtMost(bound));

    of(
        Workload::Check,
        &[
            (ServerCpu, nginx, PeerByOurs, at_least(1.1), at_least(1.35)),
            (Rate, nginx, OursByPeer, None, None),
            (Rate, php, OursByPeer, None, None),
        ],
    );
    of(
        Workload::CheckKeepAlive,
        &[
            (ServerCpu, nginx, PeerByOurs, at_least(1.15), at_least(1.4)),
            (Rate, nginx, OursByPeer, None, None),
        ],
    );
    of(
        Workload::DownloadKeepAlive,
        &[
            (Rate, best, OursByPeer, at_least(1.2), at_least(1.4)),
            (Rate, nginx, OursByPeer, at_least(2.0), at_least(2.3)),
        ],
    );
    of(
        Workload::Download,
        &[
            (Rate, best, OursByPeer, at_least(0.9), at_least(1.0)),
            (Rate, nginx, OursByPeer, at_least(2.0), at_least(2.3)),
            (Rate, python, OursByPeer, None, None),
        ],
    );
    of(
        Workload::Slow,
        &[
            (Right, itself, OursByPeer, at_least(100.0), None),
            (UserMemory, itself, OursByPeer, at_most(2_000.0), at_most(256.0)),
            (KernelMemory, itself, OursByPeer, at_most(160_000.0), at_most(80_000.0)),
            (CpuPerGigabyte, nginx, OursByPeer, at_most(1.0), at_most(0.8)),
            (CheckMeanwhile, itself, OursByPeer, at_most(50.0), None),
        ],
    );
    of(
        Workload::Catalog,
        &[
            (Rate, python, OursByPeer, at_least(100.0), None),
            (ServerCpu, nginx, PeerByOurs, at_least(1.0), at_least(1.2)),
        ],
    );
    of(
        Workload::Many,
        &[(Rate, best, OursByPeer, None, None), (Rate, nginx, OursByPeer, None, None)],
    );
    of(
        Workload::Start,
        &[
            (StartTime, itself, OursByPeer, at_most(50.0), at_most(20.0)),
            (IdleMemory, itself, OursByPeer, at_most(15.0), at_most(10.0)),
            (BinarySize, itself, OursByPeer, at_most(20.0), at_most(12.0)),
        ],
    );
    goals
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_workload_has_goals_and_their_peers() {
        let goals = goals();
        for workload in Workload::value_variants() {
            let of_it: Vec<_> = goals.iter().filter(|goal| goal.workload == *workload).collect();
            assert!(!of_it.is_empty(), "{workload:?}");
            for goal in of_it {
                if let Against::One(peer) = goal.against {
                    assert!(workload.peers().contains(&peer), "{goal:?}");
                }
            }
        }
    }

    #[test]
    fn what_is_reached_then_is_more_than_what_is_reached_first() {
        for goal in goals() {
            match (goal.first, goal.then) {
                (Some(Bound::AtLeast(first)), Some(Bound::AtLeast(then))) => assert!(then > first),
                (Some(Bound::AtMost(first)), Some(Bound::AtMost(then))) => assert!(then < first),
                (_, None) => {}
                other => panic!("{other:?}"),
            }
        }
    }
}
