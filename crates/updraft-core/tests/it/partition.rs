//! Partition tables: what is read of good ones, and what is said of broken ones.

use md5::{Digest as _, Md5};
use updraft_core::{
    AppKind, DataKind, Partition, PartitionFault, PartitionKind, PartitionTable, Text,
};

use crate::hex;

#[test]
fn arduinos_default_table_is_read_and_written_byte_for_byte() {
    // Written by code that shares nothing with the reader.
    let bytes = updraft_pack::partition_table();
    let table = PartitionTable::parse(&bytes).unwrap();
    assert_eq!(Some(&table), PartitionTable::standard("default").as_ref());
    assert_eq!(table.to_bytes(), &*bytes);
    assert_eq!(hex(&bytes[..16]), "aa50010200900000005000006e767300");
    assert_eq!(hex(&bytes[6 * 32 + 16..7 * 32]), "972dae2ff872a0142d60bad124c0666b");

    let spiffs = table.named("spiffs").unwrap();
    assert_eq!((spiffs.offset, spiffs.size, spiffs.end()), (0x29_0000, 0x16_0000, 0x3F_0000));
    assert_eq!(spiffs.kind, PartitionKind::Data(DataKind::Spiffs));
    assert_eq!(table.filesystems().collect::<Vec<_>>(), [spiffs]);
    assert_eq!(table.otadata().map(|otadata| otadata.offset), Some(0xE000));
    assert_eq!(table.factory(), None);
    assert_eq!(table.slots().map(|slot| &*slot.label).collect::<Vec<_>>(), ["app0", "app1"]);
    assert_eq!(table.slot(1).map(|slot| slot.size), Some(1_310_720));
}

#[test]
fn what_ends_behind_a_record_is_a_table() {
    let bytes = updraft_pack::partition_table();
    let table = PartitionTable::parse(&bytes).unwrap();
    for length in [6 * 32, 7 * 32, 8 * 32] {
        assert_eq!(PartitionTable::parse(&bytes[..length]), Ok(table.clone()), "{length}");
    }
    let mut sector = bytes.clone();
    sector.resize(0x1000, 0);
    assert_eq!(PartitionTable::parse(&sector), Ok(table));
}

#[test]
fn the_next_update_goes_round_the_slots() {
    let check = |table: &PartitionTable, running, expected: Option<&str>| {
        assert_eq!(table.next_update(running).map(|slot| &*slot.label), expected);
    };
    let two = PartitionTable::standard("default").unwrap();
    check(&two, AppKind::Ota(0), Some("app1"));
    check(&two, AppKind::Ota(1), Some("app0"));
    check(&two, AppKind::Factory, Some("app0"));
    check(&two, AppKind::Test, Some("app0"));
    let one = PartitionTable::standard("huge_app").unwrap();
    check(&one, AppKind::Ota(0), None);
    check(&one, AppKind::Factory, Some("app0"));
    check(&PartitionTable::standard("max_app_8MB").unwrap(), AppKind::Factory, None);
}

#[test]
fn each_fault_of_a_table_is_named() {
    let check = |change: fn(&mut Vec<u8>), expected: &str| {
        let mut table = updraft_pack::partition_table();
        change(&mut table);
        let fault = PartitionTable::parse(&table).unwrap_err();
        assert_eq!(fault.to_string(), expected);
    };
    check(|table| table.fill(0xFF), "no partition is in the table");
    check(Vec::clear, "no partition is in the table");
    check(|table| table.truncate(100), "the table ends within a record");
    check(|table| table[64] = 0xAB, "record 2 starts with AB 50 instead of AA 50");
    check(|table| table[74] = 0x15, "partitions app0 and app1 overlap");
    check(|table| table[76] ^= 1, "the MD5 of the table is wrong");
    check(|table| table[6 * 32 + 20] ^= 1, "the MD5 of the table is wrong");
    check(
        |table| {
            let records = table[..32].to_vec();
            table[7 * 32..8 * 32].copy_from_slice(&records);
        },
        "something stands behind the MD5 of the table",
    );
    check(|table| table[8..12].fill(0), "partition nvs has no size");
    check(
        |table| table[69] = 0x80,
        "partition app0 starts at 0x18000, which is no multiple of 0x10000",
    );
    check(
        |table| table[5] = 0x91,
        "partition nvs starts at 0x9100, which is no multiple of 0x1000",
    );
}

#[test]
fn a_table_must_fit_its_flash() {
    let table = PartitionTable::standard("default_8MB").unwrap();
    assert_eq!(table.fits(8 << 20), Ok(()));
    let fault = table.fits(4 << 20).unwrap_err();
    assert_eq!(
        fault.to_string(),
        "partition app1 ends at 0x670000, behind the end of the flash at 0x400000"
    );
    let mut table = PartitionTable::default();
    table.push(Partition { size: u32::MAX, ..nvs(0xFF) }).unwrap();
    assert!(matches!(table.fits(u32::MAX), Err(PartitionFault::OutOfFlash { .. })));
}

#[test]
fn a_table_takes_95_partitions_and_no_more() {
    let mut table = PartitionTable::default();
    for number in 0..95 {
        table.push(nvs(number)).unwrap();
    }
    assert_eq!(table.push(nvs(95)), Err(PartitionFault::TooMany));
    let bytes = table.to_bytes();
    assert_eq!(bytes[95 * 32 + 16..], *Md5::digest(&bytes[..95 * 32]));
    assert_eq!(PartitionTable::parse(&bytes), Ok(table));

    // 96 records leave no place for an MD5.
    let mut bytes = bytes.to_vec();
    let last = bytes[94 * 32..95 * 32].to_vec();
    bytes[95 * 32..].copy_from_slice(&last);
    bytes[95 * 32 + 5..95 * 32 + 8].copy_from_slice(&[0xF0, 0x0F, 0]);
    assert_eq!(PartitionTable::parse(&bytes), Err(PartitionFault::TooMany));
}

/// A sector in another place for each number.
fn nvs(number: u32) -> Partition {
    Partition {
        kind: PartitionKind::Data(DataKind::Nvs),
        label: Text::new("nvs").unwrap(),
        offset: 0x9000 + number * 0x1000,
        size: 0x1000,
        flags: 0,
    }
}
