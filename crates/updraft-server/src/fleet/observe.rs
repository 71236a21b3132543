//! What a check-in adds to what is known of a device: what it reports, its rhythm, its chip, and signs
//! that two modules use its identity. Pure; nothing is decided here.

use std::net::IpAddr;
use std::time::Duration;

use jiff::Timestamp;

use crate::check_in::CheckIn;

use super::rhythm::since;
use super::settle::{Happened, Settled, Stray};
use super::{
    Conflict, Device, EventKind, GzipUse, Hardware, KnownChip, KnownFrom, Published, Reported,
    SketchDigest, State,
};

/// A check-in, and what was made of it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Observation<'a> {
    /// What the device says.
    pub check_in: &'a CheckIn,
    /// Where it called from.
    pub address: Option<IpAddr>,
    /// The chip that the image it runs is made for.
    pub chip: Option<KnownChip>,
    /// Byte 2 of the image header in its flash.
    pub flash_mode: Option<u8>,
    /// Its attempts, as this check-in settled them.
    pub settled: &'a [Settled],
    /// What is known of images.
    pub published: &'a Published,
    /// Whether something else may explain a change of what it runs.
    pub ours: Ours,
    /// When.
    pub now: Timestamp,
}

/// Whether this server had its hand in a change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ours {
    /// It delivered something since the last check-in, or an attempt is under way.
    Delivered,
    /// It did not.
    Nothing,
}

/// Changes of what a device runs, back and forth between two builds, from which on it is taken for two.
const MANY_FLIPS: u32 = 3;
/// The time in which they count.
const FLIPS_WITHIN: Duration = Duration::from_hours(24);

impl Device {
    /// Takes a check-in in; gives what happened besides.
    pub(crate) fn observe(&mut self, seen: &Observation<'_>) -> Vec<Happened> {
        let mut happened = Vec::new();
        let check_in = seen.check_in;
        let was_conflict = self.conflict.since.is_some();
        self.conflict = self.conflict_after(seen);
        if let (false, Some(_)) = (was_conflict, self.conflict.since) {
            happened.push(Happened {
                kind: EventKind::Conflict,
                words: "two modules seem to use this identity".into(),
            });
        }
        let (before, now) = (self.digest(), SketchDigest::reported(check_in));
        if let (Some(before), Some(now)) = (before, now)
            && before != now
        {
            let words = format!("runs {now} instead of {before}");
            happened.push(Happened { kind: EventKind::RunsOther, words });
        }
        for settled in seen.settled {
            let (state, image) = (settled.attempt.state, settled.attempt.image);
            let stored = seen.published.image(&image).filter(|_| state == State::Confirmed);
            let came_as_gzip = stored.is_some_and(|stored| stored.image.inflated.is_some());
            if came_as_gzip && self.gzip == GzipUse::Unproven {
                self.gzip = GzipUse::Confirmed;
            }
            if settled.stray == Stray::Now {
                self.strays = self.strays.then(seen.now);
                let words = "after a confirmation it runs what it was not sent";
                happened.push(Happened { kind: EventKind::Strayed, words: words.into() });
            }
        }
        if !seen.settled.iter().any(|settled| settled.attempt.state == State::Running) {
            // A restart that was our doing is no rhythm.
            self.rhythm = self.rhythm.learn(since(self.last_seen, seen.now));
        }
        let is_said = self.chip.is_some_and(|known| known.from == KnownFrom::Person);
        if let Some(chip) = seen.chip.filter(|_| !is_said) {
            self.chip = Some(chip);
        }
        self.family = check_in.family;
        self.last_seen = self.last_seen.max(seen.now);
        self.report(seen);
        happened
    }

    /// The digest that it reported last.
    pub(crate) fn digest(&self) -> Option<SketchDigest> {
        let sha256 = self.reported.sketch_sha256.map(SketchDigest::Sha256);
        sha256.or(self.reported.sketch_md5.map(SketchDigest::Md5))
    }

    /// The check-in that it would send now, to explain what would be decided.
    pub(crate) fn as_check_in(&self, mode: crate::check_in::Mode) -> CheckIn {
        let said = &self.reported;
        CheckIn {
            family: self.family,
            device: self.identity,
            mode,
            version: said.version.clone(),
            sketch_md5: said.sketch_md5,
            sketch_sha256: said.sketch_sha256,
            sketch_size: said.sketch_size,
            free_space: said.free_space,
            chip_size: said.chip_size,
        }
    }

    fn report(&mut self, seen: &Observation<'_>) {
        let check_in = seen.check_in;
        let said = &mut self.reported;
        // Its texts hardly ever change: what stays the same is not copied.
        if said.version != check_in.version {
            said.version.clone_from(&check_in.version);
        }
        *said = Reported {
            version: said.version.take(),
            sdk: said.sdk.take(),
            sketch_md5: check_in.sketch_md5,
            sketch_sha256: check_in.sketch_sha256,
            sketch_size: check_in.sketch_size,
            free_space: check_in.free_space,
            chip_size: check_in.chip_size,
            flash_mode: seen.flash_mode,
            address: seen.address,
        };
    }

    fn conflict_after(&self, seen: &Observation<'_>) -> Conflict {
        let check_in = seen.check_in;
        let mut conflict = self.conflict;
        let old = Hardware { family: self.family, chip_size: self.reported.chip_size };
        let new = Hardware { family: check_in.family, chip_size: check_in.chip_size };
        if old.differs(new) {
            // There and back: one module has one flash.
            if conflict.other_hardware == Some(new) {
                conflict.since = conflict.since.or(Some(seen.now));
            }
            conflict.other_hardware = Some(old);
        }
        let (Some(old), Some(new)) = (self.digest(), SketchDigest::reported(check_in)) else {
            return conflict;
        };
        if seen.ours == Ours::Delivered {
            return Conflict { other_digest: None, flips: 0, flips_since: None, ..conflict };
        }
        if old == new {
            return conflict;
        }
        let is_back = conflict.other_digest == Some(new);
        let is_recent = conflict.flips_since.is_some_and(|t| since(t, seen.now) < FLIPS_WITHIN);
        let goes_on = is_back && is_recent;
        conflict.flips = if goes_on { conflict.flips.saturating_add(1) } else { 1 };
        conflict.flips_since = conflict.flips_since.filter(|_| goes_on).or(Some(seen.now));
        conflict.other_digest = Some(old);
        if conflict.flips >= MANY_FLIPS {
            conflict.since = conflict.since.or(Some(seen.now));
        }
        conflict
    }
}

impl Hardware {
    /// Whether these are two: what is not reported is no difference.
    fn differs(self, other: Self) -> bool {
        let sizes = self.chip_size.zip(other.chip_size);
        self.family != other.family || sizes.is_some_and(|(a, b)| a != b)
    }
}

#[cfg(test)]
mod tests {
    use updraft_core::{Chip, Family};

    use super::*;
    use crate::digest::Digest;
    use crate::fleet::fixtures::{check_in, device, now};

    const HOUR: Duration = Duration::from_hours(1);

    /// A device that ran build 1 and is seen with these, an hour apart.
    fn runs(digests: &[u8], ours: Ours) -> Device {
        let mut device = device();
        device.reported.sketch_md5 = Some(Digest([1; 16]));
        for (hours, &digest) in (1..).zip(digests) {
            let check_in = CheckIn { sketch_md5: Some(Digest([digest; 16])), ..check_in() };
            look(&mut device, &check_in, ours, hours * HOUR);
        }
        device
    }

    fn look(device: &mut Device, check_in: &CheckIn, ours: Ours, after: Duration) -> Vec<Happened> {
        device.observe(&Observation {
            check_in,
            address: None,
            chip: None,
            flash_mode: None,
            settled: &[],
            published: &Published::default(),
            ours,
            now: now().checked_add(after).unwrap(),
        })
    }

    #[test]
    fn a_check_in_says_what_a_device_is_like_now() {
        let mut device = device();
        let check_in = CheckIn { version: Some("1.1.0".into()), free_space: Some(9), ..check_in() };
        look(&mut device, &check_in, Ours::Nothing, HOUR);
        assert_eq!(device.as_check_in(check_in.mode), check_in);
        assert_eq!(device.last_seen, now().checked_add(HOUR).unwrap());
        assert_eq!((device.rhythm.interval, device.rhythm.intervals), (HOUR, 1));
    }

    #[test]
    fn a_device_that_flips_between_two_builds_is_taken_for_two() {
        let is_two = |device: Device| device.conflict.since.is_some();
        assert!(is_two(runs(&[2, 1, 2], Ours::Nothing)));
        assert!(is_two(runs(&[1, 1, 2, 2, 1, 2], Ours::Nothing)));
        assert!(!is_two(runs(&[2, 1], Ours::Nothing)));
        // A bench: one new build after the other.
        assert!(!is_two(runs(&[2, 3, 4, 5, 6, 7], Ours::Nothing)));
        assert!(!is_two(runs(&[2, 1, 2, 1, 2], Ours::Delivered)));
        // Three times, but not within a day.
        let slow: Vec<u8> = [2; 13].into_iter().chain([1; 13]).chain([2; 13]).collect();
        assert!(!is_two(runs(&slow, Ours::Nothing)));
    }

    #[test]
    fn a_flash_that_is_small_large_and_small_again_is_two_flashes() {
        let mut device = device();
        let large = CheckIn { chip_size: Some(16 << 20), ..check_in() };
        let silent = CheckIn { chip_size: None, ..check_in() };
        assert!(look(&mut device, &silent, Ours::Nothing, HOUR).is_empty());
        look(&mut device, &check_in(), Ours::Nothing, HOUR);
        // A new module in an old place.
        assert!(look(&mut device, &large, Ours::Nothing, HOUR).is_empty());
        assert_eq!(device.conflict.since, None);
        let happened = look(&mut device, &check_in(), Ours::Nothing, HOUR);
        assert_eq!(happened.first().map(|h| h.kind), Some(EventKind::Conflict));
        let other = CheckIn { family: Family::Esp32, ..check_in() };
        assert!(look(&mut device, &other, Ours::Nothing, HOUR).is_empty(), "told once");
    }

    #[test]
    fn the_chip_of_the_running_image_is_kept_unless_a_person_said_another() {
        let mut device = device();
        let mut seen = |from, chip| {
            device.chip = Some(KnownChip { chip: Chip::Esp32, from });
            device.observe(&Observation {
                check_in: &check_in(),
                address: None,
                chip: Some(KnownChip { chip, from: KnownFrom::Digest }),
                flash_mode: None,
                settled: &[],
                published: &Published::default(),
                ours: Ours::Nothing,
                now: now(),
            });
            device.chip.map(|known| known.chip)
        };
        assert_eq!(seen(KnownFrom::Digest, Chip::Esp32S3), Some(Chip::Esp32S3));
        assert_eq!(seen(KnownFrom::Person, Chip::Esp32S3), Some(Chip::Esp32));
    }
}
