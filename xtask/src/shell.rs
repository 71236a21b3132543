//! Runs other programs from the root of the checkout, and says which. It knows none of them.

use std::ffi::OsStr;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::ui;

/// The root of the checkout.
pub(crate) fn root() -> &'static Path {
    let xtask = Path::new(env!("CARGO_MANIFEST_DIR"));
    xtask.parent().unwrap_or(xtask)
}

/// A command that will run in the root of the checkout.
pub(crate) fn command(program: impl AsRef<OsStr>, args: &[&str]) -> Command {
    let mut command = Command::new(program);
    command.current_dir(root()).args(args);
    command
}

/// Says the command and runs it; its output goes where ours goes. Fails if it does.
pub(crate) fn run(command: &mut Command) -> Result<()> {
    ui::say(format_args!("$ {}", shown(command)));
    let status = command.status().with_context(|| format!("cannot run `{}`", shown(command)))?;
    if !status.success() {
        bail!("`{}` ended with {status}", shown(command));
    }
    Ok(())
}

/// Runs the command silently and returns what it printed. Fails if it does.
pub(crate) fn output(command: &mut Command) -> Result<String> {
    let output = command.output().with_context(|| format!("cannot run `{}`", shown(command)))?;
    if !output.status.success() {
        let why = String::from_utf8_lossy(&output.stderr);
        bail!("`{}` ended with {}: {}", shown(command), output.status, why.trim());
    }
    String::from_utf8(output.stdout).with_context(|| format!("output of `{}`", shown(command)))
}

/// Whether the command is there and succeeds; silent.
pub(crate) fn succeeds(command: &mut Command) -> bool {
    command.output().is_ok_and(|output| output.status.success())
}

/// The command as one would type it in the root of the checkout.
fn shown(command: &Command) -> String {
    let variables = command
        .get_envs()
        .filter_map(|(name, value)| Some(format!("{}={}", name.to_string_lossy(), quoted(value?))));
    let words = std::iter::once(command.get_program()).chain(command.get_args()).map(quoted);
    variables.chain(words).collect::<Vec<_>>().join(" ")
}

fn quoted(word: &OsStr) -> String {
    let word = Path::new(word).strip_prefix(root()).map_or(word, Path::as_os_str);
    let word = word.to_string_lossy();
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./=:,+@%".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        word.into_owned()
    } else {
        format!("'{word}'")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_is_shown_as_typed() {
        let mut cargo = command(root().join("bin/tool"), &["-D", "a b"]);
        cargo.env("FLAGS", "-D warnings").env_remove("CARGO");
        assert_eq!(shown(&cargo), "FLAGS='-D warnings' bin/tool -D 'a b'");
    }

    #[test]
    fn a_failing_command_is_an_error() {
        assert!(output(&mut command("false", &[])).is_err());
        assert!(!succeeds(&mut command("no-such-program", &[])));
    }
}
