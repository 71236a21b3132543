//! `cargo xtask test`: brings what the tests need, then runs all of them. It knows no single test.

use std::process::Command;

use anyhow::Result;

use crate::shell::{self, command, succeeds};
use crate::{debian, python, ui};

/// Which tests to run.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// For cargo-nextest: a filter, `-p CRATE`, ...; documentation tests are then left out.
    #[arg(last = true)]
    nextest: Vec<String>,
}

/// The command.
pub(crate) fn run(args: &Args) -> Result<()> {
    if args.nextest.is_empty() {
        return all("default");
    }
    let names_a_crate = |arg: &String| arg.starts_with("-p") || arg.starts_with("--package");
    let mut nextest = nextest("default")?;
    if !args.nextest.iter().any(names_a_crate) {
        nextest.arg("--workspace");
    }
    ui::step("tests", || shell::run(nextest.args(&args.nextest))).map(drop)
}

/// Every test, under this profile of `.config/nextest.toml`. The long run comes last, so that its
/// summary is what one reads.
pub(crate) fn all(profile: &str) -> Result<()> {
    ui::step("documentation tests", || {
        shell::run(&mut command("cargo", &["test", "--workspace", "--doc"]))
    })?;
    ui::step("tests", || shell::run(nextest(profile)?.arg("--workspace"))).map(drop)
}

/// The test run with its judges, for more arguments.
fn nextest(profile: &str) -> Result<Command> {
    let judges = python::venv(python::JUDGES)?;
    // The judge of signatures.
    if !succeeds(&mut command("openssl", &["version"])) {
        debian::need(&["openssl"])?;
    }
    // The store's tests start it themselves; without it they say that they skip, on CI they fail.
    if let Err(error) = debian::need(&["postgresql"]) {
        ui::say(format_args!("{error:#}; going on without PostgreSQL"));
    }
    let mut nextest = if succeeds(&mut command("cargo", &["nextest", "--version"])) {
        command("cargo", &[])
    } else {
        command(python::tool(&python::NEXTEST)?, &[])
    };
    nextest.args(["nextest", "run"]).env("NEXTEST_PROFILE", profile);
    nextest.env("UPDRAFT_JUDGES", judges);
    Ok(nextest)
}
