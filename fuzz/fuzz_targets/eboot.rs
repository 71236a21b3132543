//! No bytes make the reader of eboot's commands panic, and a command is read as it was written.

#![no_main]

use libfuzzer_sys::fuzz_target;
use updraft_core::EbootCommand;

fuzz_target!(|data: &[u8]| {
    let Some(bytes) = data.first_chunk() else { return };
    let Ok(command) = EbootCommand::parse(bytes) else { return };
    assert_eq!(EbootCommand::parse(&command.to_bytes()), Ok(command));
});
