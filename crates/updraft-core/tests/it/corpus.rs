//! Replays what the fuzz target `inspect` starts from and has found, on any toolchain.

use std::path::Path;

use crate::{inspect, inspect_in};

#[test]
fn the_fuzzing_corpus_holds() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/corpus/inspect");
    let mut count = 0;
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let data = std::fs::read(&path).unwrap();
        // As in `fuzz_targets/inspect.rs`: two bytes for the sizes of the pieces, then the file.
        let [one, two, file @ ..] = &*data else { continue };
        let facts = inspect(file);
        let sizes = [usize::from(*one) + 1, usize::from(*two) * 16 + 1];
        assert_eq!(inspect_in(file, sizes), facts, "{}", path.display());
        assert!(facts.fault.is_none() || facts.ota().is_err(), "{}", path.display());
        count += 1;
    }
    assert!(count > 0);
}
