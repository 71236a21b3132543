//! eboot of the ESP8266: it copies a staged sketch if a command in RTC memory says so. That memory
//! survives a restart, not the loss of power: then the old sketch starts, and the update is gone.

use updraft_core::EbootCommand;

use super::{Boot, BootError, Trial};
use crate::updater::Staged;

/// The memory at [`EbootCommand::ADDRESS`].
pub trait RtcMemory {
    /// What may fail.
    type Error;

    /// Reads the first bytes of it.
    fn read(&mut self) -> Result<[u8; EbootCommand::LENGTH], Self::Error>;

    /// Writes the first bytes of it.
    fn write(&mut self, bytes: &[u8; EbootCommand::LENGTH]) -> Result<(), Self::Error>;
}

/// Tells eboot. There is no way back: the sketch that ran is overwritten when the new one starts.
#[derive(Debug)]
pub struct Eboot<R> {
    memory: R,
}

impl<R: RtcMemory> Eboot<R> {
    /// By this memory.
    pub fn new(memory: R) -> Self {
        Self { memory }
    }

    /// What eboot was told and has not done yet.
    pub fn command(&mut self) -> Result<Option<EbootCommand>, BootError> {
        let bytes = self.memory.read().map_err(|_| BootError::Read)?;
        Ok(EbootCommand::parse(&bytes).ok())
    }
}

impl<R: RtcMemory> Boot for Eboot<R> {
    type Next = EbootCommand;

    fn activate(&mut self, staged: Staged<EbootCommand>) -> Result<(), BootError> {
        let Some(&command) = staged.next() else { return Ok(()) };
        self.memory.write(&command.to_bytes()).map_err(|_| BootError::Write)?;
        let told = self.command();
        if told == Ok(Some(command)) {
            return Ok(());
        }
        // It may stand there all the same: a caller that begins again must not find eboot copying half of it.
        let _ = self.cancel();
        Err(told.err().unwrap_or(BootError::Write))
    }

    fn cancel(&mut self) -> Result<(), BootError> {
        self.memory.write(&[0; EbootCommand::LENGTH]).map_err(|_| BootError::Write)
    }

    fn trial(&mut self) -> Result<Trial, BootError> {
        Ok(Trial::Over)
    }

    fn confirm(&mut self) -> Result<(), BootError> {
        Ok(())
    }

    fn roll_back(&mut self) -> Result<(), BootError> {
        Err(BootError::NothingBefore)
    }
}
