//! `cargo xtask powercut`: cuts the power of simulated devices at every operation of their flash during
//! an update, and says what then runs. What is tried and counted is in `updraft-sim`; here it is shown.

use std::thread::available_parallelism;

use anyhow::{Result, ensure};
use getrandom::SysRng;
use updraft_core::Family;
use updraft_pack::{SigningKey, sign};
use updraft_sim::powercut::{self, Effort, Fates, Report, Row, Signer};

use crate::{shell, ui};

/// How much is tried.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Seconds instead of minutes: small images, few second cuts.
    #[arg(long)]
    quick: bool,
    /// Print the tables of `docs/power-cuts.md`.
    #[arg(long)]
    markdown: bool,
}

impl Args {
    /// What is tried at every change.
    pub(crate) const QUICK: Self = Self { quick: true, markdown: false };
}

/// The command. Its last line says in one what came of it.
pub(crate) fn run(args: &Args) -> Result<()> {
    let effort = if args.quick { Effort::Quick } else { Effort::Full };
    let key = std::fs::read_to_string(shell::root().join("testdata/keys/rsa2048.pem"))?;
    let key = SigningKey::from_pem(&key)?;
    let signer = Signer {
        key: key.public()?.der().to_vec(),
        sign: &|file, format| Ok(sign(file, &key, format, &mut SysRng)?.bytes),
    };
    let threads = available_parallelism().map_or(1, usize::from);
    let start = ui::now();
    let report = powercut::run(effort, &signer, threads, |row| ui::say(line(row)))?;
    if args.markdown {
        ui::say(tables(&report));
    }
    ui::say(format_args!("took {}", ui::seconds(start.elapsed())));
    for row in &report.rows {
        for problem in row.tally.problems() {
            ui::say(format_args!("wrong: {} {}: {problem}", row.family.name(), row.name));
        }
    }
    ui::say(&report);
    ensure!(report.is_proven(), "a device did what it must not");
    Ok(())
}

fn line(row: &Row) -> String {
    let Row { family, name, operations, tally, .. } = row;
    let sum = tally.sum();
    format!(
        "{:<8} {name:<46} {operations:>5} operations {:>8} cuts: old {:>8} new {:>8} bricked {:>6}",
        family.name(),
        tally.cuts(),
        sum.old,
        sum.new,
        sum.bricked,
    )
}

/// The tables of the documentation.
fn tables(report: &Report) -> String {
    [Family::Esp32, Family::Esp8266].map(|family| table(report, family)).concat()
}

fn table(report: &Report, family: Family) -> String {
    let rows = report.rows.iter().filter(|row| row.family == family);
    let updates = rows.map(|Row { name, length, operations, tally, .. }| {
        let Fates { old, new, bricked } = tally.sum();
        let (cuts, second, half) = (tally.cuts(), tally.second, tally.half_filesystems);
        format!(
            "| {name} | {length} | {operations} | {cuts} | {second} | {old} | {new} | {bricked} | \
             {half} |\n"
        )
    });
    let tally = report.of(family);
    let phases = [
        ("while the update was written, up to telling the boot loader", tally.writing),
        ("at the restart into the new image", tally.starting),
        ("at the start after a first cut", tally.waking),
    ];
    let phases = phases.map(|(when, fates)| {
        let Fates { old, new, bricked } = fates;
        format!("| {when} | {} | {old} | {new} | {bricked} |\n", fates.cuts())
    });
    format!(
        "\n{}:\n\n| update | bytes | operations | cuts | second ones | old runs | new runs | bricked | \
         filesystem half written |\n|---|--:|--:|--:|--:|--:|--:|--:|--:|\n{}\n\
         | when the power went | cuts | old runs | new runs | bricked |\n|---|--:|--:|--:|--:|\n{}\n\
         Given up without a cut: {} times.\n",
        family.name(),
        updates.collect::<String>(),
        phases.concat(),
        tally.given_up,
    )
}
