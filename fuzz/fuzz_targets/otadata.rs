//! No otadata makes the choice of a slot panic, and what was selected starts. The input is two
//! entries.

#![no_main]

use libfuzzer_sys::fuzz_target;
use updraft_core::{AppKind, OtaData, OtaSector, OtaState, PartitionTable};

fuzz_target!(|data: &[u8]| {
    let Some((first, rest)) = data.split_first_chunk() else { return };
    let Some(second) = rest.first_chunk() else { return };
    let mut data = OtaData::new(first, second);
    let table = PartitionTable::standard("default").expect("a standard table");
    let Some(write) = data.select(1, &table, OtaState::New) else { return };
    data.sectors[usize::from(write.sector)] = OtaSector::Entry(write.entry);
    assert_eq!(data.starts(&table), Some(AppKind::Ota(1)));
});
