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

    /// The connection is given up after each of the blocks that arrive, with no cut: what ran goes on.
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
