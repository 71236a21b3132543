//! What becomes of a device whose power goes during an update: at every operation of its flash, once and
//! once more during what follows. Each time the old image must run or the new one, whole, and the update
//! must go through when it is made again.
//!
//! It counts, and judges only what no device may do. What runs is told by the boot loaders' models and
//! compared by its digest; what the updater says of itself is not believed.

use std::fmt;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

use updraft_core::Family;

mod cuts;
mod lab;
mod scenario;
mod tally;

pub use self::lab::{Sign, Signer};
pub use self::scenario::{LabError, Scenario};
pub use self::tally::{Fates, Phase, Tally};

/// How much is tried.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Effort {
    /// Small images; a second cut after a few of the first ones only. Takes seconds.
    Quick,
    /// Small images with every second cut after every first one, and large ones. Takes minutes.
    Full,
}

/// What came of one scenario.
#[derive(Clone, Debug)]
pub struct Row {
    /// What kind of device.
    pub family: Family,
    /// What was tried.
    pub name: String,
    /// Bytes of the file.
    pub length: usize,
    /// Operations of the flash from the start of the update to the new image's confirmation.
    pub operations: u64,
    /// What was counted.
    pub tally: Tally,
}

/// What came of all of them.
#[derive(Clone, Debug, Default)]
pub struct Report {
    /// In the order in which they were to be tried.
    pub rows: Vec<Row>,
}

/// Tries everything, in so many threads; `done` is told of each scenario as it is done.
pub fn run(
    effort: Effort,
    signer: &Signer<'_>,
    threads: usize,
    done: impl Fn(&Row) + Sync,
) -> Result<Report, LabError> {
    let scenarios = lab::scenarios(effort, signer)?;
    let next = AtomicUsize::new(0);
    let rows = Mutex::new(Vec::new());
    let work = || {
        while let Some((number, scenario)) = take(&next, &scenarios) {
            let row = scenario.try_all();
            done(&row);
            rows.lock().unwrap_or_else(PoisonError::into_inner).push((number, row));
        }
    };
    std::thread::scope(|scope| {
        for _ in 1..threads {
            scope.spawn(work);
        }
        work();
    });
    let mut rows = rows.into_inner().unwrap_or_else(PoisonError::into_inner);
    rows.sort_by_key(|(number, _)| *number);
    Ok(Report { rows: rows.into_iter().map(|(_, row)| row).collect() })
}

fn take<'a>(next: &AtomicUsize, scenarios: &'a [Scenario]) -> Option<(usize, &'a Scenario)> {
    let number = next.fetch_add(1, Ordering::Relaxed);
    scenarios.get(number).map(|scenario| (number, scenario))
}

impl Report {
    /// All that was counted for a family.
    pub fn of(&self, family: Family) -> Tally {
        let rows = self.rows.iter().filter(|row| row.family == family);
        rows.fold(Tally::default(), |sum, row| sum + &row.tally)
    }

    /// Whether nothing happened that must not: no ESP32 without a whole image, and no ESP8266 but for
    /// the time in which eboot copies.
    pub fn is_proven(&self) -> bool {
        let sum = self.of(Family::Esp32) + &self.of(Family::Esp8266);
        sum.cuts() > 0 && sum.unexpected() == 0 && self.of(Family::Esp32).bricked() == 0
    }
}

/// One line, with plain digits.
impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (esp32, esp8266) = (self.of(Family::Esp32), self.of(Family::Esp8266));
        write!(
            f,
            "power cuts: {} tried, esp32 bricked {}, esp8266 bricked {} (stock eboot copy)",
            esp32.cuts() + esp8266.cuts(),
            esp32.bricked(),
            esp8266.bricked(),
        )
    }
}
