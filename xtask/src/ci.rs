//! `cargo xtask ci`: everything that a change must pass, in one order, on any machine. The first
//! failure ends it. It must not do anything that a person could not run by hand.

use anyhow::Result;
use clap::ValueEnum;

use crate::shell::{self, command};
use crate::{count, fuzz, nostd, powercut, python, test, tidy, ui};

/// Which steps to run.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Only these, in this order; without any: all.
    steps: Vec<Step>,
}

/// What a change must pass; in the order of what is quick to tell.
#[derive(Clone, Copy, Debug, ValueEnum)]
enum Step {
    /// rustfmt, as a check; fuzz targets included.
    Fmt,
    /// The rules that no compiler checks.
    Tidy,
    /// Clippy over all targets, fuzz targets included; a warning is an error.
    Clippy,
    /// The documentation of every item, private ones too; a warning is an error.
    Doc,
    /// Licences, bans and sources of the dependencies.
    Deny,
    /// What must run on a chip builds for one.
    Nostd,
    /// All tests.
    Test,
    /// The power goes during updates, the quick way.
    Powercut,
    /// The instructions of a check.
    Count,
}

/// The command.
pub(crate) fn run(args: &Args) -> Result<()> {
    let steps = if args.steps.is_empty() { Step::value_variants() } else { &args.steps };
    let mut took = Vec::new();
    for step in steps {
        let name = format!("{step:?}").to_lowercase();
        let time = ui::step(&name, || step.run())?;
        took.push(format!("  {name:<9}{:>9}", ui::seconds(time)));
    }
    ui::say(format_args!("\nAll passed:\n{}", took.join("\n")));
    Ok(())
}

impl Step {
    fn run(self) -> Result<()> {
        match self {
            Self::Fmt => {
                cargo(&["fmt", "--all", "--check"])?;
                cargo(&["fmt", "--manifest-path", "fuzz/Cargo.toml", "--check"])
            }
            Self::Tidy => tidy::run(),
            Self::Clippy => {
                cargo(&["clippy", "--workspace", "--all-targets", "--", "-D", "warnings"])?;
                fuzz::lint()
            }
            Self::Doc => {
                let doc = ["doc", "--workspace", "--no-deps", "--document-private-items"];
                shell::run(command("cargo", &doc).env("RUSTDOCFLAGS", "-D warnings"))
            }
            Self::Deny => {
                let deny = python::tool(&python::DENY)?;
                shell::run(&mut command(deny, &["check", "bans", "licenses", "sources"]))
            }
            Self::Nostd => nostd::run(),
            Self::Test => test::all("ci"),
            Self::Powercut => powercut::run(&powercut::Args::QUICK),
            Self::Count => count::run(),
        }
    }
}

fn cargo(args: &[&str]) -> Result<()> {
    shell::run(&mut command("cargo", args))
}
