//! `cargo xtask fuzz`: hunts for inputs that break a parser, for a bounded time, on the nightly
//! toolchain. The corpus it grows stays in `fuzz/corpus`, where a plain test replays it.

use std::process::Command;

use anyhow::Result;

use crate::shell::{self, command, output, succeeds};
use crate::{debian, python, ui};

/// What to fuzz, for how long.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// The target, as `fuzz/fuzz_targets` names it; without one: each in turn.
    target: Option<String>,
    /// How long, for each target.
    #[arg(long, default_value_t = 60)]
    seconds: u32,
}

/// The command.
pub(crate) fn run(args: &Args) -> Result<()> {
    // The fuzzer itself is C++.
    if !succeeds(&mut command("c++", &["--version"])) {
        debian::need(&["g++"])?;
    }
    let targets = match &args.target {
        Some(target) => vec![target.clone()],
        None => output(&mut cargo_fuzz(&["list"])?)?.lines().map(str::to_owned).collect(),
    };
    for target in targets {
        let time = format!("-max_total_time={}", args.seconds);
        ui::step(&target, || shell::run(&mut cargo_fuzz(&["run", &target, "--", &time])?))?;
    }
    Ok(())
}

/// Clippy over the targets, on the pinned toolchain: they must keep up with the parsers. Nothing is
/// linked, so the fuzzer itself (C++) is not built: its place is taken by a name.
pub(crate) fn lint() -> Result<()> {
    let clippy = ["clippy", "--manifest-path", "fuzz/Cargo.toml", "--target-dir", "target/fuzz"];
    let mut clippy = command("cargo", &clippy);
    clippy.args(["--", "-D", "warnings"]).env("CUSTOM_LIBFUZZER_PATH", "/nowhere/libfuzzer.a");
    shell::run(&mut clippy)
}

/// cargo-fuzz on nightly: the checkout pins the stable toolchain, sanitizers need the other.
fn cargo_fuzz(args: &[&str]) -> Result<Command> {
    let mut fuzz = command(python::tool(&python::FUZZ)?, &["fuzz"]);
    fuzz.args(args).env("RUSTUP_TOOLCHAIN", "nightly").env_remove("CARGO");
    Ok(fuzz)
}
