//! The project's chores, `cargo xtask <command>`: what the build server runs is what a person runs.
//! One file a command. Nothing here is part of Updraft, and no crate depends on it.

mod bench;
mod ci;
mod count;
mod debian;
mod example;
mod fuzz;
mod nostd;
mod powercut;
mod python;
mod shell;
mod test;
mod tidy;
mod ui;

use std::process::ExitCode;

use clap::Parser;

/// The project's chores.
#[derive(Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask")]
enum Chore {
    /// Install what the tests need, then run them all.
    Test(test::Args),
    /// Everything that a change must pass; or the named steps only.
    Ci(ci::Args),
    /// Check the rules that no compiler checks: layers, files, links.
    Tidy,
    /// Build what must run on a chip for a chip, with a second compiler and nothing but `core`.
    Nostd,
    /// Write `examples/firmware` anew.
    Example,
    /// Fuzz one target, or each in turn.
    Fuzz(fuzz::Args),
    /// Count the instructions of a check, and hold them to a budget.
    Count,
    /// Cut the power of simulated devices at every operation of their flash.
    Powercut(powercut::Args),
    /// Measure the server beside nginx, PHP and `updateserver.py`.
    Bench(bench::Args),
}

fn main() -> ExitCode {
    let done = match Chore::parse() {
        Chore::Test(args) => test::run(&args),
        Chore::Ci(args) => ci::run(&args),
        Chore::Tidy => tidy::run(),
        Chore::Nostd => nostd::run(),
        Chore::Example => example::run(),
        Chore::Fuzz(args) => fuzz::run(&args),
        Chore::Count => count::run(),
        Chore::Powercut(args) => powercut::run(&args),
        Chore::Bench(args) => bench::run(&args),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            ui::fail(&error);
            ExitCode::FAILURE
        }
    }
}
