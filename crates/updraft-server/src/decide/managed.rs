//! Decides which image a device gets that leaves the choice to the server. Pure and total: the
//! check-in, what is known and the time come in, one decision with its reason goes out. It neither
//! stores nor sends, and knows no client's words.

mod attempts;
mod gates;
mod image;
mod offer;
mod product;
mod reason;
mod runs;
mod step;
mod target;

#[cfg(test)]
mod tests;

use std::borrow::Cow;
use std::net::IpAddr;

use jiff::Timestamp;
use updraft_core::{Family, gates as core_gates};

use crate::check_in::CheckIn;
use crate::digest::Md5;
use crate::fleet::settle::Settled;
use crate::fleet::{
    Admission, Attempt, AttemptKey, Device, Evidence, Goal, Line, Observation, Ours, Part,
    ProductName, Published, Shown, State, Strength, UnknownDevices, Wants,
};

pub(crate) use attempts::settle_all;
pub(crate) use offer::{Decision, Form, Note, Offer};
pub(crate) use reason::{Hold, Refusal};
pub(crate) use runs::Runs;
pub(crate) use step::{Mark, ProductBy, Said, Step};

use attempts::Attempts;
use step::{Standing, Trace};

/// A check-in on a managed path.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Call<'a> {
    /// What the device says in its header.
    pub check_in: &'a CheckIn,
    /// The product in the URL.
    pub product: Option<&'a str>,
    /// What it says in the query.
    pub evidence: Evidence,
    /// How it showed who it is.
    pub strength: Strength,
    /// The secrets that it showed.
    pub shown: Shown<'a>,
    /// Where it calls from.
    pub address: Option<IpAddr>,
    /// Whether it calls at all.
    pub occasion: Occasion,
}

/// Why a decision is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Occasion {
    /// The device checks in.
    CheckIn,
    /// A person asks what it would get, by what it reported last: that settles nothing.
    Question,
}

/// What is known when a device calls.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Rows<'a> {
    /// Products, releases, images.
    pub published: &'a Published,
    /// The device, if it is registered.
    pub device: Option<&'a Device>,
    /// Its attempts.
    pub attempts: &'a [Attempt],
    /// What holds where no product says anything.
    pub policy: &'a FleetPolicy,
    /// Whether one more unknown device can be registered.
    pub room: Room,
}

/// What holds where no product says anything.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct FleetPolicy {
    /// What a device gets that nobody knows and that asks for no product.
    pub unknown_devices: UnknownDevices,
    /// The product of devices that ask for none.
    pub default_product: Option<ProductName>,
}

/// Whether one more unknown device can be registered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Room {
    /// It can.
    Free,
    /// There are too many.
    Full,
}

/// Whether a device is registered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Registration {
    /// It is.
    Known,
    /// It is to be.
    New(Admission),
    /// It is not, and stays so.
    Not,
}

/// A decision, and all that follows from the check-in besides the answer.
#[derive(Clone, Debug)]
pub(crate) struct Outcome<'a> {
    /// The answer.
    pub decision: Decision,
    /// Whether the device is to be registered, whatever the answer is.
    pub registration: Registration,
    /// The product that it belongs to from now on, and how that was found.
    pub product: Option<(&'a ProductName, ProductBy)>,
    /// What it runs.
    pub runs: Runs<'a>,
    /// What it reports, and the version of the image that it runs, if these differ.
    pub differs: Option<(&'a str, &'a str)>,
    /// Attempts as they stand after this check-in.
    pub settled: Vec<Settled>,
    /// The attempt for the offered release that there was before; the offer goes on with it.
    pub before: Option<AttemptKey>,
    /// An open attempt that the offer ends.
    pub supersedes: Option<AttemptKey>,
}

/// Ends a decision early.
#[derive(Debug)]
enum Halt {
    Hold(Hold),
    Refuse(Refusal),
}

impl From<Hold> for Halt {
    fn from(hold: Hold) -> Self {
        Self::Hold(hold)
    }
}

impl From<Refusal> for Halt {
    fn from(refusal: Refusal) -> Self {
        Self::Refuse(refusal)
    }
}

/// Decides on a check-in.
pub(crate) fn decide<'a>(call: &Call<'a>, rows: &Rows<'a>, now: Timestamp) -> Outcome<'a> {
    walk(call, rows, now, &mut |_| {})
}

/// Decides the same, and says everything that it looked at.
pub(crate) fn explain<'a>(
    call: &Call<'a>,
    rows: &Rows<'a>,
    now: Timestamp,
) -> (Outcome<'a>, Vec<Said>) {
    let mut said = Vec::new();
    let outcome = walk(call, rows, now, &mut |step| said.push(step.said()));
    // What was no gate has not been said yet.
    let last = match &outcome.decision {
        Decision::Hold(hold) => Some(Step::Held(hold).said()),
        Decision::Refuse(refusal) => Some(Step::Refused(*refusal).said()),
        Decision::Offer(_) | Decision::UpToDate => None,
    };
    said.extend(last.filter(|last| !said.contains(last)));
    (outcome, said)
}

fn walk<'a>(call: &Call<'a>, rows: &Rows<'a>, now: Timestamp, trace: Trace<'_>) -> Outcome<'a> {
    let found = product::find(call, rows);
    let line = found.as_ref().ok().map(|(line, _)| *line);
    let mut outcome = Outcome {
        decision: Decision::UpToDate,
        registration: Registration::Not,
        product: None,
        runs: Runs::new(call.check_in, rows.published, line),
        differs: None,
        settled: Vec::new(),
        before: None,
        supersedes: None,
    };
    let decided = enter(call, rows, found, &mut outcome, trace)
        .and_then(|(line, by)| look(call, rows, line, by, now, &mut outcome, trace));
    outcome.decision = match decided {
        Ok(decision) => decision,
        Err(Halt::Hold(hold)) => Decision::Hold(hold),
        Err(Halt::Refuse(refusal)) => Decision::Refuse(refusal),
    };
    outcome
}

/// Who asks, and whether it is let in.
fn enter<'a>(
    call: &Call<'a>,
    rows: &Rows<'a>,
    found: Result<(&'a Line, ProductBy), Halt>,
    outcome: &mut Outcome<'a>,
    trace: Trace<'_>,
) -> Result<(&'a Line, ProductBy), Halt> {
    trace(&Step::Who {
        device: call.check_in.device,
        strength: call.strength,
        standing: if rows.device.is_some() { Standing::Known } else { Standing::New },
    });
    let line = found.as_ref().ok().map(|(line, _)| *line);
    if let Some(line) = line {
        product::admit(call, line)?;
    }
    let policy =
        line.map_or(rows.policy.unknown_devices, |line| line.product.settings.unknown_devices);
    outcome.registration = product::register(rows.device, policy, rows.room)?;
    trace(&Step::Runs(&outcome.runs));
    let (line, by) = found?;
    outcome.product = Some((&line.product.name, by));
    trace(&Step::Product { name: &line.product.name, by });
    outcome.differs = outcome.runs.differs(line);
    if let Some((reported, image)) = outcome.differs {
        trace(&Step::VersionDiffers { reported, image });
    }
    Ok((line, by))
}

fn look<'a>(
    call: &Call<'a>,
    rows: &Rows<'a>,
    line: &'a Line,
    by: ProductBy,
    now: Timestamp,
    outcome: &mut Outcome<'a>,
    trace: Trace<'_>,
) -> Result<Decision, Halt> {
    let part = Part::asked_for(call.check_in);
    outcome.settled = settle_all(call, rows, now);
    for happened in outcome.settled.iter().filter_map(|settled| settled.happened.as_ref()) {
        trace(&Step::Settled(happened));
    }
    // A device that just moved follows nothing of its former product.
    let assigned_device = rows.device.filter(|_| by != ProductBy::Move);
    may_change(call, rows, outcome.registration)?;

    let runs = outcome.runs;
    let (target, target_by) = target::assigned(line, assigned_device)?;
    trace(&Step::Target { version: &target.release.version, by: target_by });
    if part == Part::Sketch && runs.is(target, line) {
        return Ok(Decision::UpToDate);
    }
    let replaceable = target::replaceable(line, target, rows.device, &runs)?;
    if let Some(why) = replaceable {
        trace(&Step::Replaceable(why));
    }
    let floor = target::floor(line, target, runs.version(line).as_ref())?;
    if let Some(floor) = floor {
        trace(&Step::Floor(&floor.release.version));
    }
    let edition = floor.unwrap_or(target);
    if part == Part::Sketch && runs.is(edition, line) {
        return Ok(Decision::UpToDate);
    }
    if rows.device.is_some_and(|device| {
        target::is_fought_over(&attempts::strays(device, &outcome.settled, now), now)
    }) {
        return Err(Hold::FoughtOver.into());
    }

    let device = as_device(call, rows, &runs);
    let choice = image::choose(call, rows, line, edition, &device)?;
    trace(&Step::Image(Cow::Borrowed(&choice.stored.name)));
    if let Some(why) = choice.plain {
        trace(&Step::Plain(why));
    }
    let goal = Goal::Release(edition.release.key);
    let attempts = Attempts { rows: rows.attempts, settled: &outcome.settled };
    let case = gates::Case {
        line,
        edition,
        by: target_by,
        part,
        device,
        runs: &runs,
        replaceable,
        choice,
        attempt: attempts.of(part, goal),
        now,
    };
    gates::pass(&case, trace)?;
    let latest = attempts.latest(part);
    match latest.map(|attempt| attempt.state) {
        Some(State::Delivered) => return Err(Hold::Settling.into()),
        Some(State::Downloading) => return Err(Hold::Downloading.into()),
        _ => {}
    }
    let before = case.attempt.map(|attempt| attempt.key);
    let supersedes = latest.filter(|last| last.is_open() && last.goal != goal).map(|last| last.key);
    let stored = &choice.stored.image;
    let unproven = core_gates::is_mode_unproven(&super::as_file(stored), &device);
    (outcome.before, outcome.supersedes) = (before, supersedes);
    Ok(Decision::Offer(Offer {
        release: edition.release.key,
        version: edition.release.version.clone(),
        part,
        image: stored.sha256,
        md5: stored.md5,
        size: stored.size,
        form: choice.form,
        note: if unproven { Note::FlashModeUnknown } else { Note::None },
    }))
}

/// Whether anything may be sent to the device at all.
fn may_change(call: &Call<'_>, rows: &Rows<'_>, registration: Registration) -> Result<(), Hold> {
    let admission = match (rows.device, registration) {
        (Some(device), _) => device.admission,
        (None, Registration::New(admission)) => admission,
        (None, Registration::Known | Registration::Not) => Admission::Accepted,
    };
    let is = |flag: fn(&Device) -> bool| rows.device.is_some_and(flag);
    match () {
        () if admission == Admission::Pending => Err(Hold::Pending),
        () if is(|device| device.conflict.since.is_some()) => Err(Hold::Conflict),
        () if is(|device| device.is_blocked) => Err(Hold::Blocked),
        () if is(|device| device.is_hands_off) => Err(Hold::HandsOff),
        () if call.evidence.wants == Wants::Nothing => Err(Hold::Asked),
        () => Ok(()),
    }
}

/// What the gates need of the device.
fn as_device(call: &Call<'_>, rows: &Rows<'_>, runs: &Runs<'_>) -> core_gates::Device {
    let check_in = call.check_in;
    let chip = runs.chip().or(rows.device.and_then(|device| device.chip));
    core_gates::Device {
        family: check_in.family,
        chip: match check_in.family {
            Family::Esp8266 => Some(updraft_core::Chip::Esp8266),
            Family::Esp32 => chip.map(|known| known.chip),
        },
        asks_for: Part::asked_for(check_in).target(),
        free_space: check_in.free_space,
        sketch_size: check_in.sketch_size,
        chip_size: check_in.chip_size,
        filesystem_size: rows.device.and_then(|device| device.filesystem_size),
        flash_mode: runs.flash_mode(),
    }
}

impl<'a> Outcome<'a> {
    /// What this check-in adds to what is known of the device.
    pub(crate) fn observation<'s>(
        &'s self,
        call: &Call<'s>,
        rows: &Rows<'s>,
        now: Timestamp,
    ) -> Observation<'s>
    where
        'a: 's,
    {
        let is_under_way = rows.attempts.iter().any(Attempt::is_open);
        Observation {
            check_in: call.check_in,
            address: call.address,
            chip: self.runs.chip(),
            flash_mode: self.runs.flash_mode(),
            settled: &self.settled,
            published: rows.published,
            ours: if is_under_way { Ours::Delivered } else { Ours::Nothing },
            now,
        }
    }

    /// What a device is told that only asks for the version: the one it would be offered, else what
    /// it runs or says it runs, never empty; and the MD5 of that file, if it is known.
    pub(crate) fn version(&self) -> (&str, Option<Md5>) {
        if let Decision::Offer(offer) = &self.decision {
            return (&offer.version, Some(offer.md5));
        }
        let version = self.runs.version_text().filter(|version| !version.is_empty());
        (version.unwrap_or("unknown"), self.runs.md5())
    }
}
