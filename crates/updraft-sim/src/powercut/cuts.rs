//! One scenario: the power is cut at each operation in turn, each time on a device of its own.

use updraft_core::Family;

use super::Row;
use super::scenario::{Expected, Scenario, Second, Trial};
use super::tally::{Phase, Tally};
use crate::boot::Dead;
use crate::device::{Device, Running};
use crate::flash::{Cut, Tear};
use crate::software::{self, Delivery};

/// How an update and what follows went.
enum Lived {
    /// The power went.
    Cut(Phase),
    /// To the end: this runs.
    Through(Result<Running, Dead>),
}

/// Which file a device gets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Which {
    /// The one of the scenario.
    Tried,
    /// One in which nothing is wrong.
    Good,
}

/// What runs, compared with what should.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fate {
    Old,
    New,
    Bricked,
}

impl Scenario {
    /// Tries all of it.
    pub fn try_all(&self) -> Row {
        let mut tally = Tally::default();
        let operations = self.without_a_cut(&mut tally);
        for at in 1..=operations {
            for tear in Tear::ALL {
                self.first_cut(at, tear, &mut tally);
            }
        }
        self.give_up(&mut tally);
        let length = self.tried.bytes.len();
        Row { family: self.family(), name: self.name.clone(), length, operations, tally }
    }

    /// The update as it should go; gives how many operations it takes.
    fn without_a_cut(&self, tally: &mut Tally) -> u64 {
        let mut device = self.device.clone();
        let before = device.flash().operations();
        let lived = self.update(&mut device, &self.running, Which::Tried, tally);
        let operations = device.flash().operations() - before;
        let expected = self.runs_after(self.expected);
        match lived {
            Lived::Through(Ok(running)) if running.md5 == expected => {}
            Lived::Through(running) => {
                tally.problem(|| format!("without a cut: {}", told(&running)));
            }
            Lived::Cut(_) => tally.problem(|| "the power went by itself".to_owned()),
        }
        self.again(&mut device, tally);
        operations
    }

    fn first_cut(&self, at: u64, tear: Tear, tally: &mut Tally) {
        let mut device = self.device.clone();
        device.split().1.plan(cut(at, tear));
        let Lived::Cut(phase) = self.update(&mut device, &self.running, Which::Tried, tally) else {
            return tally.problem(|| format!("no operation {at}"));
        };
        device.power_cycle();
        if self.second == Second::All || (self.second == Second::Some && at % 16 == 1) {
            self.second_cuts(&device, tally);
        }
        self.settle(device, phase, self.expected, tally);
    }

    /// Cuts during all that follows a first cut: the start, another update, the restart into it.
    fn second_cuts(&self, device: &Device, tally: &mut Tally) {
        let operations = {
            let mut device = device.clone();
            let before = device.flash().operations();
            let running = self.wake(&mut device, tally);
            if self.fate(&running) == Fate::Bricked {
                return;
            }
            if let Ok(running) = running {
                self.update(&mut device, &running, Which::Good, tally);
            }
            device.flash().operations() - before
        };
        for at in 1..=operations {
            for tear in Tear::ALL {
                let mut device = device.clone();
                device.split().1.plan(cut(at, tear));
                let phase = match self.wake(&mut device, tally) {
                    Ok(running) if device.flash().has_power() => {
                        match self.update(&mut device, &running, Which::Good, tally) {
                            Lived::Cut(phase) => phase,
                            Lived::Through(_) => {
                                tally.problem(|| format!("no second operation {at}"));
                                continue;
                            }
                        }
                    }
                    _ => Phase::Waking,
                };
                device.power_cycle();
                tally.second += 1;
                self.settle(device, phase, Expected::Installed, tally);
            }
        }
    }

    /// The power is back: counts what runs, and updates once more.
    fn settle(&self, mut device: Device, phase: Phase, tried: Expected, tally: &mut Tally) {
        let running = self.wake(&mut device, tally);
        let fate = self.fate(&running);
        let fates = tally.of(phase);
        match fate {
            Fate::Old => fates.old += 1,
            Fate::New => fates.new += 1,
            Fate::Bricked => fates.bricked += 1,
        }
        // Only while eboot copies: there is no other copy of the old sketch then, and what eboot was told
        // is gone with the power.
        let may_brick = self.family() == Family::Esp8266 && phase == Phase::Starting;
        let may_be_new = tried == Expected::Installed && self.trial == Trial::Passed;
        match fate {
            Fate::Bricked if may_brick => return,
            Fate::Bricked => {
                return tally
                    .problem(|| format!("after a cut while {phase:?}: {}", told(&running)));
            }
            Fate::New if !may_be_new => {
                tally.problem(|| format!("it runs what must not run, after a cut while {phase:?}"));
            }
            Fate::New | Fate::Old => {}
        }
        if let Some(filesystem) = &self.filesystem {
            let now = device.filesystem(filesystem.length()).unwrap_or_default();
            if now != filesystem.old && now != filesystem.new {
                tally.half_filesystems += 1;
            }
        }
        if let Some(misuse) = device.flash().misuse() {
            tally.problem(|| format!("the flash was misused: {misuse}"));
        }
        self.again(&mut device, tally);
    }

    /// The update can be made, now that nothing disturbs it.
    fn again(&self, device: &mut Device, tally: &mut Tally) {
        device.power_cycle();
        let Ok(running) = self.wake(device, tally) else {
            return tally.problem(|| "it does not start a second time".to_owned());
        };
        let expected = self.runs_after(Expected::Installed);
        match self.update(device, &running, Which::Good, tally) {
            Lived::Through(Ok(running)) if running.md5 == expected => {}
            Lived::Through(running) => {
                tally.problem(|| format!("updated again: {}", told(&running)));
            }
            Lived::Cut(_) => tally.problem(|| "the power went by itself".to_owned()),
        }
        if let Some(filesystem) = &self.filesystem {
            let now = device.filesystem(filesystem.length());
            if now.as_ref() != Ok(&filesystem.new) {
                tally.problem(|| "updated again: the filesystem is another one".to_owned());
            }
        }
    }

    /// The connection fails after each of the segments, with no cut: what ran goes on.
    fn give_up(&self, tally: &mut Tally) {
        for arrive in (0..self.tried.bytes.len()).step_by(1460) {
            let mut device = self.device.clone();
            let tried = Delivery { arrive, ..self.tried.clone() };
            let refused = software::install(&mut device, &self.running, &tried);
            let running = self.wake(&mut device, tally);
            tally.given_up += 1;
            if refused.is_ok() || self.fate(&running) != Fate::Old {
                tally.problem(|| format!("given up after {arrive} bytes: {}", told(&running)));
            }
        }
    }

    /// An update, the restart behind it, and what the new image does first.
    fn update(
        &self,
        device: &mut Device,
        running: &Running,
        which: Which,
        tally: &mut Tally,
    ) -> Lived {
        let (delivery, expected) = match which {
            Which::Tried => (&self.tried, self.expected),
            Which::Good => (&self.good, Expected::Installed),
        };
        let installed = software::install(device, running, delivery);
        if !device.flash().has_power() {
            return Lived::Cut(Phase::Writing);
        }
        match (installed, expected) {
            (Ok(()), Expected::Installed) | (Err(_), Expected::Refused) => {}
            (Ok(()), Expected::Refused) => tally.problem(|| "a bad update is taken".to_owned()),
            (Err(error), Expected::Installed) => {
                tally.problem(|| format!("a good update is refused: {error}"));
            }
        }
        let running = self.wake(device, tally);
        if device.flash().has_power() {
            Lived::Through(running)
        } else {
            Lived::Cut(Phase::Starting)
        }
    }

    /// A start, and what the image that runs does first: it says that it works. One that never does asks
    /// for an update, which would overwrite what it could go back to, and restarts.
    fn wake(&self, device: &mut Device, tally: &mut Tally) -> Result<Running, Dead> {
        let running = device.boot()?;
        if self.trial == Trial::Failed && running.md5 == self.new {
            let asked = software::install(device, &running, &self.good);
            if asked.is_ok() {
                tally.problem(|| "updated before it said that it works".to_owned());
            }
            return device.boot();
        }
        match software::confirm(device, &running) {
            Err(error) if device.flash().has_power() => {
                tally.problem(|| format!("it cannot say that it works: {error}"));
            }
            _ => {}
        }
        Ok(running)
    }

    /// The digest of what runs once an update went through.
    fn runs_after(&self, expected: Expected) -> [u8; 16] {
        let stays = expected == Expected::Installed && self.trial == Trial::Passed;
        if stays { self.new } else { self.old }
    }

    fn fate(&self, running: &Result<Running, Dead>) -> Fate {
        match running {
            Ok(running) if running.md5 == self.old || Some(running.md5) == self.between => {
                Fate::Old
            }
            Ok(running) if running.md5 == self.new => Fate::New,
            _ => Fate::Bricked,
        }
    }
}

fn cut(at: u64, tear: Tear) -> Cut {
    Cut { at, tear, seed: at }
}

fn told(running: &Result<Running, Dead>) -> String {
    match running {
        Ok(running) => format!("an image of {} bytes runs", running.size),
        Err(dead) => dead.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use getrandom::SysRng;
    use updraft_pack::{SigningKey, sign};

    use super::super::{Effort, Fates, Report, Signer, lab};
    use super::*;

    const KEY: &str = include_str!("../../../../testdata/keys/rsa2048.pem");

    /// One of the scenarios.
    fn scenario(family: Family, name: &str) -> Scenario {
        let key = SigningKey::from_pem(KEY).unwrap();
        let signer = Signer {
            key: key.public().unwrap().der().to_vec(),
            sign: &|file, format| Ok(sign(file, &key, format, &mut SysRng)?.bytes),
        };
        let all = lab::scenarios(Effort::Quick, &signer).unwrap();
        let found = all.into_iter().find(|one| one.family() == family && one.name == name);
        Scenario { second: Second::None, ..found.unwrap() }
    }

    #[test]
    fn the_stock_copy_bricks_from_its_first_operation_to_its_last_change_and_nowhere_else() {
        let scenario = scenario(Family::Esp8266, "sketch, plain");
        let mut uncut = Tally::default();
        let operations = scenario.without_a_cut(&mut uncut);
        let fates: Vec<_> = (1..=operations)
            .map(|at| {
                let mut tally = Tally::default();
                scenario.first_cut(at, Tear::Behind, &mut tally);
                assert_eq!((tally.cuts(), tally.unexpected()), (1, 0), "{:?}", tally.problems());
                let Fates { old, bricked, .. } = tally.sum();
                (old, bricked, tally.starting.cuts())
            })
            .collect();
        // Three sectors are staged, an erase and 16 pages each.
        assert_eq!(fates[..51], [(1, 0, 0)].repeat(51));
        // eboot has the first one already, and copies two. The last pages hold nothing.
        let bricked = fates[51..].iter().take_while(|fate| **fate == (0, 1, 1)).count();
        let whole = &fates[51 + bricked..];
        assert_eq!(operations, 51 + 34);
        assert!(whole.iter().all(|fate| *fate == (0, 0, 1)), "{fates:?}");
        let last_page = (12_176 % 4096_usize).div_ceil(256);
        assert_eq!(bricked, 17 + last_page);
    }

    #[test]
    fn a_cut_never_bricks_an_esp32() {
        let row = scenario(Family::Esp32, "sketch, plain").try_all();
        assert_eq!(row.tally.unexpected(), 0, "{:?}", row.tally.problems());
        assert_eq!((row.tally.cuts(), row.tally.bricked()), (3 * row.operations, 0));
        assert!(row.tally.sum().new > 0);
    }

    #[test]
    fn what_is_neither_the_old_nor_the_new_image_fails_the_proof() {
        let right = scenario(Family::Esp32, "sketch, plain");
        let check = |scenario: &Scenario, is_proven| {
            let report = Report { rows: vec![scenario.try_all()] };
            assert_eq!(report.is_proven(), is_proven, "{report}");
        };
        check(&right, true);
        check(&Scenario { new: [0; 16], ..right.clone() }, false);
        check(&Scenario { old: [0; 16], ..right.clone() }, false);
        check(&Scenario { expected: Expected::Refused, ..right }, false);
        assert!(!Report::default().is_proven(), "nothing was tried");
    }

    #[test]
    fn a_filesystem_that_is_half_written_is_counted_and_written_again() {
        for family in [Family::Esp32, Family::Esp8266] {
            let row = scenario(family, "filesystem, plain").try_all();
            let Tally { half_filesystems, .. } = row.tally;
            assert_eq!((row.tally.unexpected(), row.tally.bricked()), (0, 0));
            assert!(half_filesystems > 0 && half_filesystems < row.tally.cuts());
        }
    }
}
