//! What `updraft-core` says starts next is what the boot loader chooses, which shares no line with it.

use proptest::prelude::*;
use proptest::sample::select;
use updraft_core::{AppKind, Chip, OtaData, OtaState, PartitionTable};
use updraft_pack::{OtaSlot, Record, TWO_OTA_TABLE, esp32_boot_loader, otadata, table_of};
use updraft_sim::boot::boot_loader_offset;
use updraft_sim::boot::esp32::{Loader, Rollback, Slot};
use updraft_sim::flash::Flash;

const CHIP: Chip = Chip::Esp32;
/// Three slots and no factory's.
const THREE_SLOTS: [Record<'static>; 4] = [
    Record::new("ota_2", 0, 0x12, 0x3_0000, 0x1_0000),
    Record::new("otadata", 1, 0x00, 0xE000, 0x2000),
    Record::new("ota_0", 0, 0x10, 0x1_0000, 0x1_0000),
    Record::new("ota_1", 0, 0x11, 0x2_0000, 0x1_0000),
];

/// Every table that Arduino brings, and two more.
fn tables() -> Vec<PartitionTable> {
    let parsed = |records: &[Record<'_>]| PartitionTable::parse(&table_of(records)).unwrap();
    let standard = PartitionTable::standard_names().filter_map(PartitionTable::standard);
    standard.chain([parsed(&TWO_OTA_TABLE), parsed(&THREE_SLOTS)]).collect()
}

fn slot() -> impl Strategy<Value = OtaSlot> {
    let sequence = prop_oneof![0_u32..9, Just(u32::MAX), Just(u32::MAX - 1)];
    let state = select(vec![0, 1, 2, 3, 4, 7, u32::MAX]);
    prop_oneof![
        Just(OtaSlot::Erased),
        (sequence.clone(), state).prop_map(|(sequence, state)| OtaSlot::Entry { sequence, state }),
        sequence.prop_map(|sequence| OtaSlot::WrongCrc { sequence }),
    ]
}

/// What the boot loader wants to start; there is no application, so it only wants.
fn wanted(table: &PartitionTable, entries: &[u8]) -> Option<Slot> {
    let mut flash = Flash::new(16 << 20);
    let place = boot_loader_offset(CHIP).unwrap();
    flash.put(place, &esp32_boot_loader(CHIP).unwrap()).unwrap();
    flash.put(0x8000, &table.to_bytes()).unwrap();
    if let Some(otadata) = table.otadata() {
        flash.put(otadata.offset, entries).unwrap();
    }
    let loader = Loader { rollback: Rollback::Off, ..Loader::new(CHIP) };
    loader.boot(&mut flash).wanted
}

fn name(kind: AppKind) -> Slot {
    match kind {
        AppKind::Factory => Slot::Factory,
        AppKind::Ota(number) => Slot::Ota(number),
        _ => Slot::Test,
    }
}

proptest! {
    #[test]
    fn core_says_what_the_boot_loader_chooses(
        table in select(tables()),
        first in slot(),
        second in slot(),
    ) {
        let bytes = otadata([first, second]);
        let expected = OtaData::parse(&bytes).unwrap().starts(&table).map(name);
        let found = wanted(&table, &bytes);
        // Without an application of the factory's, and with one slot at least, the boot loader tries
        // them all where no entry counts; what core names is the first of them.
        let found = match found {
            Some(Slot::Factory) if table.factory().is_none() => {
                table.slots().next().map(|_| Slot::Ota(0))
            }
            found => found,
        };
        prop_assert_eq!(found, expected);
    }

    #[test]
    fn what_core_would_write_makes_the_boot_loader_choose_that_slot(
        table in select(tables()),
        first in slot(),
        second in slot(),
        number in 0_u8..4,
        state in select(vec![OtaState::New, OtaState::Valid, OtaState::Undefined]),
    ) {
        let mut bytes = otadata([first, second]);
        let Some(write) = OtaData::parse(&bytes).unwrap().select(number, &table, state) else {
            return Ok(());
        };
        let sector = usize::from(write.sector) * 4096;
        bytes[sector..sector + 4096].fill(0xFF);
        bytes[sector..sector + 32].copy_from_slice(&write.entry.to_bytes());
        prop_assert_eq!(wanted(&table, &bytes), Some(Slot::Ota(number)));
    }
}
