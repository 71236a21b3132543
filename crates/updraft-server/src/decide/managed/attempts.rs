//! A device's attempts when it calls: what the call makes of them, and which is the one that counts.

use jiff::Timestamp;

use crate::fleet::settle::{self, Settled, Sighting, Stray};
use crate::fleet::{Attempt, Device, Goal, LastTwo, Part};

use super::{Call, Occasion, Rows};

/// What a call makes of the device's attempts: of each part the last one counts. A call for a catalog
/// file settles them, too.
pub(crate) fn settle_all(call: &Call<'_>, rows: &Rows<'_>, now: Timestamp) -> Vec<Settled> {
    if call.occasion == Occasion::Question {
        return Vec::new();
    }
    let attempts = Attempts { rows: rows.attempts, settled: &[] };
    let last = Part::ALL.iter().filter_map(|&part| attempts.latest(part));
    last.filter_map(|attempt| settle::settle(attempt, &sighting(call, rows, attempt, now)))
        .collect()
}

fn sighting(call: &Call<'_>, rows: &Rows<'_>, attempt: &Attempt, now: Timestamp) -> Sighting {
    let published = rows.published;
    let released = match attempt.goal {
        Goal::Release(key) => published.edition(key),
        Goal::Catalog(_) => None,
    };
    let own = rows.device.and_then(|device| device.product.as_ref());
    let line = released.map(|(line, _)| line).or(own.and_then(|own| published.line(own.as_str())));
    let version = released.map(|(_, edition)| edition.release.version.as_str());
    let product = line.map_or("", |line| line.product.name.as_str());
    let running = published.running(call.check_in);
    let expected = line.and_then(|line| line.product.settings.expected_poll);
    Sighting {
        now,
        mode: call.check_in.mode,
        seen: settle::compare(attempt, call.check_in, running, version, product),
        strength: call.strength,
        address: call.address,
        evidence: call.evidence,
        poll: rows.device.and_then(|device| device.rhythm.poll(expected)),
    }
}

/// Its strays, with what this check-in tells.
pub(super) fn strays(device: &Device, settled: &[Settled], now: Timestamp) -> LastTwo {
    let is_stray = settled.iter().any(|settled| settled.stray == Stray::Now);
    if is_stray { device.strays.then(now) } else { device.strays }
}

/// Attempts as they stand now.
pub(super) struct Attempts<'a> {
    pub(super) rows: &'a [Attempt],
    pub(super) settled: &'a [Settled],
}

impl<'a> Attempts<'a> {
    fn all(&self) -> impl Iterator<Item = &'a Attempt> {
        let settled = self.settled;
        self.rows.iter().map(move |row| {
            let now = settled.iter().map(|settled| &settled.attempt);
            now.into_iter().find(|attempt| attempt.key == row.key).unwrap_or(row)
        })
    }

    pub(super) fn of(&self, part: Part, goal: Goal) -> Option<&'a Attempt> {
        self.all().find(|attempt| attempt.part == part && attempt.goal == goal)
    }

    pub(super) fn latest(&self, part: Part) -> Option<&'a Attempt> {
        let of_part = self.all().filter(|attempt| attempt.part == part);
        of_part.max_by_key(|attempt| (attempt.offered_at, attempt.key))
    }
}
