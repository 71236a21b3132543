//! The gates between a device and the image that was chosen for it. All are looked at, so that a
//! person sees each; the first that is closed is the reason.

use jiff::Timestamp;
use updraft_core::gates;

use crate::catalog::image::Target;
use crate::decide::as_file;
use crate::fleet::{Attempt, Counts, Downgrade, Edition, Line, Part, Place, State};

use super::image::Choice;
use super::reason::Hold;
use super::runs::Runs;
use super::step::{Gate, Replaceable, Step, TargetBy, Trace};

/// What the gates look at.
pub(super) struct Case<'a> {
    pub(super) line: &'a Line,
    pub(super) edition: &'a Edition,
    pub(super) by: TargetBy<'a>,
    pub(super) part: Part,
    pub(super) device: gates::Device,
    pub(super) runs: &'a Runs<'a>,
    pub(super) replaceable: Option<Replaceable>,
    pub(super) choice: Choice<'a>,
    /// The attempt for this release and part, if there was one.
    pub(super) attempt: Option<&'a Attempt>,
    pub(super) now: Timestamp,
}

type Rule = fn(&Case<'_>) -> Option<Hold>;

const RULES: [(Gate, Rule); 14] = [
    (Gate::Yank, yank),
    (Gate::Bytes, bytes),
    (Gate::Ota, ota),
    (Gate::Family, |case| case.device(gates::family)),
    (Gate::Chip, |case| case.device(gates::chip)),
    (Gate::Form, |case| case.device(gates::form)),
    (Gate::Room, |case| case.device(gates::room)),
    (Gate::FlashMode, |case| case.device(gates::flash_mode)),
    (Gate::FlashSize, |case| case.device(gates::flash_size)),
    (Gate::Signature, signature),
    (Gate::Downgrade, downgrade),
    (Gate::Filesystem, filesystem),
    (Gate::Tries, tries),
    (Gate::Backoff, backoff),
];

/// Looks at every gate, tells of each, and gives the first that is closed.
pub(super) fn pass(case: &Case<'_>, trace: Trace<'_>) -> Result<(), Hold> {
    let mut first = None;
    for (gate, rule) in RULES {
        if gate == Gate::Filesystem && case.part != Part::Filesystem {
            continue;
        }
        let hold = rule(case);
        trace(&Step::Gate(gate, hold.as_ref()));
        first = first.or(hold);
    }
    first.map_or(Ok(()), Err)
}

impl Case<'_> {
    fn device(&self, rule: gates::Rule) -> Option<Hold> {
        rule(&as_file(&self.choice.stored.image), &self.device).map(Hold::Device)
    }
}

fn yank(case: &Case<'_>) -> Option<Hold> {
    let release = &case.edition.release;
    release.yanked.as_ref().map(|_| Hold::Yanked(release.version.clone()))
}

fn bytes(case: &Case<'_>) -> Option<Hold> {
    (case.choice.stored.place == Place::Gone).then_some(Hold::Gone)
}

fn ota(case: &Case<'_>) -> Option<Hold> {
    match &case.choice.stored.image.target {
        Target::Never(why) => Some(Hold::NotOta(why.clone())),
        Target::Sketch | Target::Filesystem | Target::Unrecognised => None,
    }
}

/// A filesystem bears no signature that a device would check.
fn signature(case: &Case<'_>) -> Option<Hold> {
    let key = case.line.product.settings.signing_key.as_ref()?;
    let stored = case.choice.stored;
    if case.part == Part::Filesystem || stored.signed_by == Some(key.id) {
        return None;
    }
    Some(if stored.image.signed { Hold::WrongKey } else { Hold::Unsigned })
}

/// A pin is a person's word, and so is an adopted build's replacement.
fn downgrade(case: &Case<'_>) -> Option<Hold> {
    let is_wanted = case.line.product.settings.downgrade == Downgrade::Permit
        || matches!(case.by, TargetBy::Pin)
        || case.replaceable == Some(Replaceable::Adopted);
    let falls = case.edition.version.is_lower_than(&case.runs.version(case.line)?);
    (falls && !is_wanted).then(|| Hold::Downgrade {
        from: case.runs.version_text().unwrap_or_default().to_owned(),
        to: case.edition.release.version.clone(),
    })
}

/// Whether a filesystem was taken nobody can tell, so it is sent once.
fn filesystem(case: &Case<'_>) -> Option<Hold> {
    let was_sent = matches!(case.attempt?.state, State::Delivered | State::Applied | State::Lost);
    was_sent.then_some(Hold::FilesystemSent)
}

fn tries(case: &Case<'_>) -> Option<Hold> {
    let tries = case.attempt?.counts.tries_at(case.now);
    (tries >= Counts::MOST_TRIES).then_some(Hold::AttemptsExhausted)
}

fn backoff(case: &Case<'_>) -> Option<Hold> {
    let until = case.attempt?.counts.backs_off_until()?;
    (case.now < until).then_some(Hold::BackingOff { until })
}
