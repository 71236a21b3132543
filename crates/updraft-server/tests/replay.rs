//! Replays what the fuzz target `request` starts from and has found, on any toolchain.

use std::fs;
use std::path::Path;

#[test]
fn the_fuzzing_corpus_holds() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/corpus/request");
    let mut count = 0;
    for entry in fs::read_dir(folder).unwrap() {
        updraft_server::read_request(&fs::read(entry.unwrap().path()).unwrap());
        count += 1;
    }
    assert!(count > 0);
}
