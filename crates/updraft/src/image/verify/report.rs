//! The list of checks for people and as JSON. These structs are the contract with scripts: names stay,
//! fields are only added.

use std::io::{self, Write};
use std::path::Path;

use serde::Serialize;
use updraft_core::Facts;
use updraft_core::signature::{Fingerprint, KeyKind, PublicKey};
use updraft_core::verify::{Check, Missing, Outcome, Reason};

use crate::key_file::KeyName;
use crate::ui;

/// What is said of one file.
pub(super) struct Report {
    path: String,
    kind: String,
    key: Option<KeyName>,
    signer: Option<KeyName>,
    checks: Vec<(Check, Outcome)>,
}

#[derive(Serialize)]
struct Document<'a> {
    path: &'a str,
    /// What the file is, in words.
    kind: &'a str,
    /// `passed`, or `failed` if one check is.
    verdict: &'static str,
    /// The key that was given.
    key: Option<&'a KeyName>,
    /// The key in the secure boot block that holds.
    signer: Option<&'a KeyName>,
    checks: Vec<Line>,
}

#[derive(Serialize)]
struct Line {
    name: &'static str,
    /// `passed`, `failed` or `not_checked`.
    outcome: &'static str,
    /// Why it failed or was not checked.
    reason: Option<String>,
    /// The options of which one would let it be checked.
    options: &'static [&'static str],
}

impl Report {
    pub(super) fn new(
        path: &Path,
        facts: &Facts,
        key: Option<&PublicKey<'_>>,
        signer: Option<(KeyKind, Fingerprint)>,
        checks: Vec<(Check, Outcome)>,
    ) -> Self {
        let wrapper = if facts.gzip.is_some() { ", as a gzip" } else { "" };
        Self {
            path: path.display().to_string(),
            kind: format!("{}{wrapper}", facts.kind),
            key: key.map(|key| KeyName::new(key.kind(), key.fingerprint())),
            signer: signer.map(|(kind, fingerprint)| KeyName::new(kind, fingerprint)),
            checks,
        }
    }

    /// Why the file would not be taken; empty if it would.
    pub(super) fn failures(&self) -> impl Iterator<Item = Reason> {
        self.checks.iter().filter_map(|(_, outcome)| match outcome {
            Outcome::Failed(reason) => Some(*reason),
            _ => None,
        })
    }

    pub(super) fn write_text(&self, out: &mut dyn Write) -> io::Result<()> {
        writeln!(out, "{}", self.path)?;
        writeln!(out, "  {}", self.kind)?;
        for (role, key) in [("signed by", &self.signer), ("key", &self.key)] {
            if let Some(KeyName { kind, fingerprint }) = key {
                writeln!(out, "  {role} {kind} {fingerprint}")?;
            }
        }
        for (check, outcome) in &self.checks {
            let Line { name, outcome, reason, options } = Line::new(*check, *outcome);
            let outcome = outcome.replace('_', " ");
            let options = match options {
                [] => String::new(),
                options => format!(" ({})", options.join(" or ")),
            };
            let reason = reason.unwrap_or_default();
            let line =
                format!("  {outcome:<11}  {:<15}  {reason}{options}", name.replace('_', " "));
            writeln!(out, "{}", line.trim_end())?;
        }
        Ok(())
    }

    pub(super) fn write_json(&self, out: &mut dyn Write) -> anyhow::Result<()> {
        let document = Document {
            path: &self.path,
            kind: &self.kind,
            verdict: if self.failures().next().is_some() { "failed" } else { "passed" },
            key: self.key.as_ref(),
            signer: self.signer.as_ref(),
            checks: self
                .checks
                .iter()
                .map(|(check, outcome)| Line::new(*check, *outcome))
                .collect(),
        };
        ui::json(&document, out)
    }
}

impl Line {
    fn new(check: Check, outcome: Outcome) -> Self {
        let (outcome, reason, options) = match outcome {
            Outcome::Passed => ("passed", None, &[][..]),
            Outcome::Failed(reason) => ("failed", Some(reason.to_string()), &[][..]),
            Outcome::NotChecked(missing) => {
                ("not_checked", Some(missing.to_string()), options(missing))
            }
        };
        Self { name: check.name(), outcome, reason, options }
    }
}

/// The options of which one would let it be checked.
fn options(missing: Missing) -> &'static [&'static str] {
    match missing {
        Missing::Chip => &["--chip", "--running"],
        Missing::Room => &["--free-space", "--flash and --running"],
        Missing::Partition => &["--free-space", "--flash"],
        Missing::Flash => &["--flash"],
        Missing::FlashSize => &["--flash", "--running"],
        Missing::Running => &["--running"],
        Missing::Key | Missing::KeyOfGzip => &["--key"],
        _ => &[],
    }
}
