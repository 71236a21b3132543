//! What a device may do now: ask its server, install what is offered, restart. Rules only, without a
//! clock or a memory: what they need is handed in.

use core::time::Duration;

use updraft_core::OtaTarget;

use crate::boot::Trial;
use crate::updater::Size;

/// Is asked before each step of an update. It keeps nothing: the same question has the same answer.
pub trait Policy {
    /// May the server be asked now?
    fn may_check(&self, now: &Situation) -> Permission;

    /// May this be installed now?
    fn may_install(&self, offer: &Offer<'_>, now: &Situation) -> Permission;

    /// May the device restart now, into what was installed?
    fn may_reboot(&self, now: &Situation) -> Permission;
}

/// An answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Permission {
    /// Yes.
    Granted,
    /// Not now: the question may be asked again after this time.
    Later(Duration),
    /// No, whatever time passes.
    Denied,
}

/// What a device knows of itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Situation {
    /// How long ago the server was asked; `None`: not since the start.
    pub since_check: Option<Duration>,
    /// How many tries have failed since the last one that did not.
    pub failures: u8,
    /// Where the running application stands.
    pub trial: Trial,
    /// What the device is doing.
    pub in_use: Use,
}

/// Whether a restart would disturb anybody.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Use {
    /// Nothing that could not wait.
    Idle,
    /// Something that must not be cut off.
    Busy,
}

/// What a server offers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Offer<'a> {
    /// What it replaces.
    pub target: OtaTarget,
    /// How long it is.
    pub size: Size,
    /// Its version, if the server says one.
    pub version: Option<&'a str>,
}

/// Asks at a steady pace, more rarely while it fails; installs when the running application has
/// proved itself; restarts when nothing is in use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Regular {
    /// From one question to the next.
    pub interval: Duration,
    /// How long a device that is busy is left alone.
    pub patience: Duration,
}

impl Default for Regular {
    /// Every ten minutes; one minute for what is busy.
    fn default() -> Self {
        Self { interval: Duration::from_mins(10), patience: Duration::from_mins(1) }
    }
}

impl Policy for Regular {
    fn may_check(&self, now: &Situation) -> Permission {
        let Some(since) = now.since_check else { return Permission::Granted };
        // The steps in which the server, too, waits after failures.
        let wait = match now.failures {
            0 => self.interval,
            1 => Duration::from_mins(1),
            2 => Duration::from_mins(5),
            3 => Duration::from_mins(30),
            4.. => Duration::from_hours(6),
        };
        match wait.checked_sub(since) {
            None | Some(Duration::ZERO) => Permission::Granted,
            Some(left) => Permission::Later(left),
        }
    }

    fn may_install(&self, offer: &Offer<'_>, now: &Situation) -> Permission {
        match (now.trial, offer.target) {
            (Trial::Pending, _) => Permission::Later(self.patience),
            // It is written in place: whoever reads it meanwhile reads neither the old nor the new.
            (Trial::Over, OtaTarget::Filesystem) => self.when_idle(now),
            (Trial::Over, OtaTarget::Sketch) => Permission::Granted,
        }
    }

    fn may_reboot(&self, now: &Situation) -> Permission {
        match now.trial {
            // It would start the application before this one.
            Trial::Pending => Permission::Later(self.patience),
            Trial::Over => self.when_idle(now),
        }
    }
}

impl Regular {
    fn when_idle(&self, now: &Situation) -> Permission {
        match now.in_use {
            Use::Idle => Permission::Granted,
            Use::Busy => Permission::Later(self.patience),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Situation = Situation {
        since_check: Some(Duration::from_secs(100)),
        failures: 0,
        trial: Trial::Over,
        in_use: Use::Idle,
    };
    const SKETCH: Offer<'static> =
        Offer { target: OtaTarget::Sketch, size: Size::Unknown, version: None };

    fn later(seconds: u64) -> Permission {
        Permission::Later(Duration::from_secs(seconds))
    }

    #[test]
    fn the_server_is_asked_at_a_pace_that_failures_slow_down() {
        let check = |now, expected| assert_eq!(Regular::default().may_check(&now), expected);
        check(Situation { since_check: None, failures: 9, ..NOW }, Permission::Granted);
        check(NOW, later(500));
        check(Situation { since_check: Some(Duration::from_mins(10)), ..NOW }, Permission::Granted);
        check(Situation { failures: 1, ..NOW }, Permission::Granted);
        check(Situation { failures: 2, ..NOW }, later(200));
        check(Situation { failures: 4, ..NOW }, later(6 * 3600 - 100));
        check(Situation { failures: u8::MAX, ..NOW }, later(6 * 3600 - 100));
    }

    #[test]
    fn nothing_is_installed_over_what_could_be_needed_again() {
        let check = |offer, now, expected| {
            assert_eq!(Regular::default().may_install(&offer, &now), expected);
        };
        let filesystem = Offer { target: OtaTarget::Filesystem, ..SKETCH };
        let busy = Situation { in_use: Use::Busy, ..NOW };
        check(SKETCH, NOW, Permission::Granted);
        check(SKETCH, Situation { trial: Trial::Pending, ..NOW }, later(60));
        check(SKETCH, busy, Permission::Granted);
        check(filesystem, NOW, Permission::Granted);
        check(filesystem, busy, later(60));
    }

    #[test]
    fn a_device_in_use_or_on_trial_is_not_restarted() {
        let policy = Regular::default();
        assert_eq!(policy.may_reboot(&NOW), Permission::Granted);
        assert_eq!(policy.may_reboot(&Situation { in_use: Use::Busy, ..NOW }), later(60));
        assert_eq!(policy.may_reboot(&Situation { trial: Trial::Pending, ..NOW }), later(60));
    }
}
