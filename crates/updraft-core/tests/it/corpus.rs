//! Replays what the fuzz targets start from and have found, on any toolchain. What is held here is
//! what `fuzz_targets/<name>.rs` holds.

use std::path::Path;

use updraft_core::verify::Check;
use updraft_core::{AppKind, EbootCommand, OtaData, OtaState, PartitionTable};

use crate::verify::failed;
use crate::{inspect, inspect_in};

#[test]
fn the_corpus_of_inspect_holds() {
    replay("inspect", |data, name| {
        // Two bytes for the sizes of the pieces, then the file.
        let [one, two, file @ ..] = data else { return };
        let facts = inspect(file);
        let sizes = [usize::from(*one) + 1, usize::from(*two) * 16 + 1];
        assert_eq!(inspect_in(file, sizes), facts, "{name}");
        assert!(facts.fault.is_none() || facts.ota().is_err(), "{name}");
        let failed = failed(&facts).into_iter().filter(|check| *check != Check::Segments);
        assert_eq!(failed.count() > 0, facts.ota().is_err(), "{name}");
    });
}

#[test]
fn the_corpus_of_partition_table_holds() {
    replay("partition_table", |data, name| {
        let Ok(table) = PartitionTable::parse(data) else { return };
        assert_eq!(PartitionTable::parse(&table.to_bytes()), Ok(table.clone()), "{name}");
        let next = table.next_update(AppKind::Ota(0));
        assert!(next.is_none_or(|next| Some(next) != table.slot(0)), "{name}");
    });
}

#[test]
fn the_corpus_of_otadata_holds() {
    let table = PartitionTable::standard("default").unwrap();
    replay("otadata", |data, name| {
        let Some((first, rest)) = data.split_first_chunk() else { return };
        let Some(second) = rest.first_chunk() else { return };
        let mut data = OtaData::new(first, second);
        let Some(write) = data.select(1, &table, OtaState::New) else { return };
        data.sectors[usize::from(write.sector)] = updraft_core::OtaSector::Entry(write.entry);
        assert_eq!(data.starts(&table), Some(AppKind::Ota(1)), "{name}");
    });
}

#[test]
fn the_corpus_of_eboot_holds() {
    replay("eboot", |data, name| {
        let Some(bytes) = data.first_chunk() else { return };
        let Ok(command) = EbootCommand::parse(bytes) else { return };
        assert_eq!(EbootCommand::parse(&command.to_bytes()), Ok(command), "{name}");
    });
}

/// Checks each file of the corpus of a target; with its name.
pub(crate) fn replay(target: &str, check: impl Fn(&[u8], &str)) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/corpus").join(target);
    let mut count = 0;
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        check(&std::fs::read(&path).unwrap(), path.file_name().unwrap().to_str().unwrap());
        count += 1;
    }
    assert!(count > 0, "{target}");
}
