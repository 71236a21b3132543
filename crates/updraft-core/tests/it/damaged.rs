//! What must hold for any bytes: no panic, no dependence on how they are cut, no yes to a stump.

use proptest::prelude::*;
use updraft_core::Facts;
use updraft_core::verify::Check;

use crate::verify::failed;
use crate::{files, gzip, inspect, inspect_in};

#[test]
fn one_byte_at_a_time_is_the_same_as_all_at_once() {
    for (name, file) in files::all() {
        let facts = inspect(&file);
        assert_eq!(inspect_in(&file, [1]), facts, "{name}");
        assert_eq!(inspect_in(&file, [4096]), facts, "{name}");
        assert_eq!(inspect_in(&file, [15, 17, 1, 31]), facts, "{name}");
    }
}

/// Lengths at which to cut `file`: all near its ends, the borders of its parts and of the sectors of
/// a flash, some between.
fn stumps(file: &[u8]) -> impl Iterator<Item = usize> {
    let facts = inspect(file);
    let mut borders = vec![0, file.len(), usize::try_from(facts.sizes.payload).unwrap()];
    borders.extend((0..file.len()).step_by(4096));
    for segment in facts.segments.iter().filter(|_| facts.gzip.is_none()) {
        let start = usize::try_from(segment.offset).unwrap();
        borders.extend([start, start + usize::try_from(segment.length).unwrap()]);
    }
    let step = file.len().div_ceil(150);
    let near = move |length: usize| borders.iter().any(|&border| length.abs_diff(border) <= 48);
    (0..file.len()).filter(move |&length| length % step == 0 || near(length))
}

#[test]
fn no_stump_of_a_file_is_fit_for_the_air() {
    for (name, file) in files::all() {
        // What is behind a whole image is not needed to run it.
        let whole = match name {
            "signed sketch" => files::sketch().len(),
            "signed gzip" => gzip(&files::sketch()).len(),
            _ => file.len(),
        };
        for length in stumps(&file).filter(|&length| length != whole) {
            let facts = inspect(&file[..length]);
            assert!(facts.ota().is_err(), "{name}, {length} of {} bytes", file.len());
        }
    }
}

fn mutated() -> impl Strategy<Value = Vec<u8>> {
    let files = files::all().into_iter().map(|(_, file)| file).collect::<Vec<_>>();
    let changes = proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..6);
    let near_start = proptest::collection::vec((0..320_usize, any::<u8>()), 0..4);
    (prop::sample::select(files), changes, near_start).prop_map(|(mut file, changes, near)| {
        let length = file.len();
        for (index, byte) in changes {
            file[index.index(length)] = byte;
        }
        for (index, byte) in near {
            file[index % length] = byte;
        }
        file
    })
}

fn random() -> impl Strategy<Value = Vec<u8>> {
    let starts: Vec<&'static [u8]> = vec![
        b"",
        b"\xE9\x01",
        b"\xE9\x02\x02\x40\x00\xF0\x10\x40\x00\xF0\x10\x40\x04\0\0\0",
        b"\xE9\x02\x02\x20\0\0\0\0\xEE\0\0\0\0\0\0\0\0\0\0\0\0\0\0\x01",
        b"\x1F\x8B\x08\0\0\0\0\0\0\0",
        b"\xFF\xFF\xFF\xFF",
        b"\xAA\x50\x01\x02\0\x90\0\0",
        b"\xEA\x04",
        b"\0\0\0\0\0\0\0\0littlefs",
    ];
    let tail = proptest::collection::vec(any::<u8>(), 0..3000);
    (prop::sample::select(starts), tail).prop_map(|(start, tail)| [start, &tail].concat())
}

/// What holds for the facts of any file.
fn check(file: &[u8], facts: &Facts) {
    let sizes = facts.sizes;
    assert_eq!(sizes.file, file.len() as u64);
    assert!(sizes.payload <= sizes.file && sizes.trailing <= sizes.payload);
    if facts.fault.is_some() {
        assert!(facts.ota().is_err());
    }
    // The list of checks comes to the same, and looks at segments, too.
    let failed = failed(facts).into_iter().filter(|check| *check != Check::Segments);
    assert_eq!(failed.count() > 0, facts.ota().is_err(), "{facts:?}");
}

proptest! {
    #[test]
    fn mutated_files_are_read_the_same_however_cut(
        file in mutated(),
        sizes in proptest::collection::vec(1..5000_usize, 1..5),
    ) {
        let facts = inspect(&file);
        check(&file, &facts);
        prop_assert_eq!(inspect_in(&file, sizes), facts);
    }

    #[test]
    fn random_bytes_are_read_the_same_however_cut(
        file in random(),
        sizes in proptest::collection::vec(1..300_usize, 1..5),
    ) {
        let facts = inspect(&file);
        check(&file, &facts);
        prop_assert_eq!(inspect_in(&file, sizes), facts);
    }
}
