//! What a chore says, and how long it took: the one place in xtask that prints or looks at a clock.

use std::fmt::Display;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};

/// Prints a line.
#[expect(clippy::print_stdout, reason = "the one place that prints")]
pub(crate) fn say(line: impl Display) {
    println!("{line}");
}

/// Prints why the chore failed, as its last line.
#[expect(clippy::print_stderr, reason = "the one place that prints")]
pub(crate) fn fail(error: &anyhow::Error) {
    eprintln!("xtask: failed: {error:#}");
}

/// Runs a step under its name; says how long it took and returns that. An error carries the name.
pub(crate) fn step(name: &str, work: impl FnOnce() -> Result<()>) -> Result<Duration> {
    say(format_args!("\n== {name}"));
    let start = now();
    work().with_context(|| name.to_owned())?;
    let took = start.elapsed();
    say(format_args!("== {name}: done in {}", seconds(took)));
    Ok(took)
}

/// `12.3 s`.
pub(crate) fn seconds(duration: Duration) -> String {
    format!("{:.1} s", duration.as_secs_f32())
}

/// Now, by a clock that only goes forward.
#[expect(clippy::disallowed_methods, reason = "a chore is timed by the real clock")]
pub(crate) fn now() -> Instant {
    Instant::now()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failed_step_names_itself() {
        let error = step("deny", || anyhow::bail!("no licence")).unwrap_err();
        assert_eq!(format!("{error:#}"), "deny: no licence");
    }

    #[test]
    fn seconds_have_one_decimal() {
        assert_eq!(seconds(Duration::from_millis(12_340)), "12.3 s");
    }
}
