//! `cargo xtask bench`: our server beside what people use instead, under the same load, in turns; on
//! loopback only. It says what was reached, and changes nothing of what it measures.

pub(crate) mod load;
mod machine;
pub(crate) mod meter;
mod peers;
mod report;
mod rounds;
mod site;
mod targets;
mod workloads;

use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use clap::ValueEnum as _;

use crate::shell::root;
use crate::ui;
use load::sys;
pub(crate) use peers::build;
use peers::{Peer, Peers};
use report::Results;
use rounds::{Rounds, Rule};
use targets::Workload;
use workloads::{Bench, Scale};

/// What to measure, and how long.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Less of everything, in under two minutes; the results are only printed.
    #[arg(long)]
    quick: bool,
    /// Rounds that must count [default: 5; with --quick 1].
    #[arg(long)]
    rounds: Option<usize>,
    /// This workload only; the results are only printed.
    #[arg(long, value_enum)]
    only: Option<Workload>,
    /// AutoConnect's `updateserver.py`, to measure it, too.
    #[arg(long, value_name = "PATH")]
    updateserver: Option<PathBuf>,
    /// CPUs that others may use in a round that counts.
    #[arg(long, value_name = "CPUS", default_value_t = 0.25)]
    others: f64,
}

/// Where the results of a full run are kept.
const RESULTS: &str = "bench/results.md";

/// The command.
pub(crate) fn run(args: &Args) -> Result<()> {
    if args.rounds == Some(0) {
        bail!("no rounds, no results");
    }
    let scale = scale(args);
    let workloads = match &args.only {
        Some(workload) => std::slice::from_ref(workload),
        None => Workload::value_variants(),
    };
    let mut needed: Vec<Peer> = workloads.iter().flat_map(|one| one.peers()).copied().collect();
    needed.retain(|peer| *peer != Peer::UpdateServer || args.updateserver.is_some());
    let versions = peers::versions(&needed)?;
    let program = build()?;

    sys::notice_interrupts();
    let temp = tempfile::Builder::new().prefix("updraft-bench-").tempdir()?;
    let (servers, sites) = (temp.path().join("servers"), temp.path().join("sites"));
    fs::create_dir(&servers)?;
    fs::create_dir(&sites)?;
    let updateserver = args.updateserver.as_ref().map(fs::canonicalize).transpose();
    let updateserver = updateserver.context("cannot find updateserver.py")?;
    let peers = Peers { folder: servers, updateserver };
    let bench = Bench::new(scale, &peers, program, &sites);
    let mut results = Results::new();
    for &workload in workloads {
        ui::step(workload.words(), || {
            let rounds = bench.run(workload);
            sys::check_interrupt()?;
            results.insert(
                workload,
                rounds.unwrap_or_else(|problem| {
                    ui::say(format_args!("  not measured: {problem:#}"));
                    Rounds::none(&problem)
                }),
            );
            Ok(())
        })?;
    }

    let about = about(args, &scale, &versions);
    let text = report::render(&results, &about);
    ui::say(format_args!("\n{text}"));
    if args.quick || args.only.is_some() {
        return Ok(());
    }
    let path = root().join(RESULTS);
    fs::create_dir_all(path.parent().unwrap_or(root()))?;
    fs::write(&path, format!("{HEAD}{text}")).with_context(|| format!("cannot write {RESULTS}"))?;
    ui::say(format_args!("These results are in {RESULTS}."));
    Ok(())
}

/// What stands above the results.
const HEAD: &str = "# Results of the benchmark

Made by `cargo xtask bench`, all on one machine over loopback, load and server side by side.

";

fn scale(args: &Args) -> Scale {
    let rule = |wanted| Rule { wanted: args.rounds.unwrap_or(wanted), others: args.others };
    let full = Scale {
        rule: rule(5),
        connections: 64,
        time: Duration::from_secs(2),
        warm_up: Duration::from_millis(300),
        devices: 10_000,
        rate: 20_000,
        images: 1_000,
        starts: 5,
        files: 1_000,
    };
    if !args.quick {
        return full;
    }
    Scale {
        rule: rule(1),
        time: Duration::from_millis(800),
        warm_up: Duration::from_millis(200),
        devices: 1_000,
        rate: 100_000,
        images: 100,
        starts: 2,
        ..full
    }
}

/// How it was measured and where, a line each.
fn about(args: &Args, scale: &Scale, versions: &[String]) -> Vec<String> {
    let mut about = machine::describe(versions);
    if args.quick {
        about.push("A quick run: less of everything, figures to look at, not to quote".to_owned());
    }
    about.extend([
        format!(
            "Rounds: {} wanted, peers in turn within each; refused when others used more than {} CPU; a \
             ratio is taken within a round, and the median of the ratios counts",
            scale.rule.wanted, scale.rule.others,
        ),
        format!(
            "Load: {} connections from {} loopback addresses (so the server's limit of connections from \
             one address stays as it is), requests as ESP8266's libraries send them, {} devices",
            scale.connections,
            load::SOURCES,
            site::DEVICES,
        ),
        format!(
            "nginx: as many workers as cores, reuseport, open_file_cache, no access log; a table of {} \
             devices, 304 for those that report its MD5",
            site::DEVICES,
        ),
        "PHP: 8 processes of FPM behind nginx, compiled scripts kept; the same table; 304 for the same \
         version, an image's MD5 is taken only when it is sent"
            .to_owned(),
        "Bodies: before the rounds, every server has its bodies compared with the file, byte for byte; in \
         them, the kernel discards bodies, and length and x-MD5 are checked; slow devices compare every \
         byte"
            .to_owned(),
        format!(
            "Slow devices: {}, each {} bytes/s with lwIP's window (4 × 1460 bytes); many images: {} of 1 \
             MiB",
            scale.devices, scale.rate, scale.images,
        ),
        format!("Start: {} files, inspected at an earlier start", scale.files),
    ]);
    about
}
