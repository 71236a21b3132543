//! A device's attempts when it calls: what the call makes of them, and which is the one that counts.

use jiff::Timestamp;

use crate::fleet::settle::{self, Settled, Sighting, Stray};
use crate::fleet::{Attempt, Device, Goal, LastTwo, Line, Part};

use super::{Call, Rows};

/// Settles the last attempt of each part.
pub(super) fn settle_all(
    call: &Call<'_>,
    rows: &Rows<'_>,
    line: &Line,
    now: Timestamp,
) -> Vec<Settled> {
    let running = rows.published.running(call.check_in);
    let poll = rows.device.and_then(|d| d.rhythm.poll(line.product.settings.expected_poll));
    let attempts = Attempts { rows: rows.attempts, settled: &[] };
    let last = Part::ALL.iter().filter_map(|&part| attempts.latest(part));
    last.filter_map(|attempt| {
        let version = match attempt.goal {
            Goal::Release(key) => line.editions.get(&key).map(|e| e.release.version.as_str()),
            Goal::Catalog(_) => None,
        };
        let product = line.product.name.as_str();
        let sighting = Sighting {
            now,
            mode: call.check_in.mode,
            seen: settle::compare(attempt, call.check_in, running, version, product),
            strength: call.strength,
            address: call.address,
            evidence: call.evidence,
            poll,
        };
        settle::settle(attempt, &sighting)
    })
    .collect()
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
