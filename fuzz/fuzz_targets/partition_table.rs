//! No bytes make the reader of partition tables panic, and a table is read as it was written.

#![no_main]

use libfuzzer_sys::fuzz_target;
use updraft_core::{AppKind, PartitionTable};

fuzz_target!(|data: &[u8]| {
    let Ok(table) = PartitionTable::parse(data) else { return };
    assert_eq!(PartitionTable::parse(&table.to_bytes()), Ok(table.clone()));
    let next = table.next_update(AppKind::Ota(0));
    assert!(next.is_none_or(|next| Some(next) != table.slot(0)));
});
