//! What is counted.

use std::ops::Add;

/// Problems that are kept with their words; of more only the number.
const KEPT: usize = 5;

/// What a device was at when the power went.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Phase {
    /// It started, after a cut before.
    Waking,
    /// It wrote an update, or told the boot loader of it.
    Writing,
    /// It restarted into the new image, up to where that says that it works. An ESP8266 copies it then.
    Starting,
}

/// What ran after the cuts of one phase.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Fates {
    /// The old image.
    pub old: u64,
    /// The new one.
    pub new: u64,
    /// Neither.
    pub bricked: u64,
}

/// What was counted.
#[derive(Clone, Debug, Default)]
pub struct Tally {
    /// Of cuts while the device started after another one.
    pub waking: Fates,
    /// Of cuts while it wrote.
    pub writing: Fates,
    /// Of cuts while it restarted into the new image.
    pub starting: Fates,
    /// Cuts that were the second one.
    pub second: u64,
    /// Cuts after which a filesystem was neither the old nor the new one.
    pub half_filesystems: u64,
    /// Updates that were given up without a cut.
    pub given_up: u64,
    problems: Vec<String>,
    unexpected: u64,
}

impl Fates {
    /// How many cuts there were.
    pub fn cuts(self) -> u64 {
        self.old + self.new + self.bricked
    }
}

impl Tally {
    /// How often the power was cut.
    pub fn cuts(&self) -> u64 {
        self.sum().cuts()
    }

    /// How often the device then ran neither the old nor the new image.
    pub fn bricked(&self) -> u64 {
        self.sum().bricked
    }

    /// The fates of all phases.
    pub fn sum(&self) -> Fates {
        self.waking + self.writing + self.starting
    }

    /// How often something happened that must not.
    pub fn unexpected(&self) -> u64 {
        self.unexpected
    }

    /// The first of those, in words.
    pub fn problems(&self) -> &[String] {
        &self.problems
    }

    pub(super) fn of(&mut self, phase: Phase) -> &mut Fates {
        match phase {
            Phase::Waking => &mut self.waking,
            Phase::Writing => &mut self.writing,
            Phase::Starting => &mut self.starting,
        }
    }

    pub(super) fn problem(&mut self, words: impl FnOnce() -> String) {
        self.unexpected += 1;
        if self.problems.len() < KEPT {
            self.problems.push(words());
        }
    }
}

impl Add for Fates {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self {
            old: self.old + other.old,
            new: self.new + other.new,
            bricked: self.bricked + other.bricked,
        }
    }
}

impl Add<&Self> for Tally {
    type Output = Self;

    fn add(mut self, other: &Self) -> Self {
        self.problems.extend(other.problems.iter().cloned());
        self.problems.truncate(KEPT);
        Self {
            waking: self.waking + other.waking,
            writing: self.writing + other.writing,
            starting: self.starting + other.starting,
            second: self.second + other.second,
            half_filesystems: self.half_filesystems + other.half_filesystems,
            given_up: self.given_up + other.given_up,
            unexpected: self.unexpected + other.unexpected,
            problems: self.problems,
        }
    }
}
