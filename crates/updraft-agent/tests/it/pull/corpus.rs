//! Replays what the fuzz target `answer` starts from and has found, on any toolchain. What is held
//! here is what `fuzz_targets/answer.rs` holds.

use std::path::Path;

use updraft_agent::pull::{Mode, Options, Redirects};

use super::{Board, ESP32, ESP8266, FILESYSTEM, SKETCH, ask, request};

#[test]
fn the_fuzzing_corpus_of_answers_holds() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/corpus/answer");
    let mut count = 0;
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let data = std::fs::read(&path).unwrap();
        // One byte for family and mode, one for the size of the pieces, then the answer.
        let [who, size, answer @ ..] = &*data else { continue };
        let device = if who & 1 == 0 { ESP8266 } else { ESP32 };
        let mode = [SKETCH, FILESYSTEM, Mode::Version][usize::from(who >> 1) % 3];
        let options = Options { redirects: Redirects::Any, ..Options::of(device.family) };
        let ask = |sizes| {
            let (outcome, board) =
                ask(&request(device, mode), options, answer, sizes, Board::default());
            (outcome, board.offered, board.image)
        };
        assert_eq!(ask(&[usize::from(*size) + 1]), ask(&[usize::MAX]), "{}", path.display());
        count += 1;
    }
    assert!(count > 0);
}
