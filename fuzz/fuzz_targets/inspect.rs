//! No file makes the inspector panic, and how a file is cut into pieces changes nothing.
//!
//! The first two bytes choose the sizes of the pieces, the rest is the file.

#![no_main]

use libfuzzer_sys::fuzz_target;
use updraft_core::verify::{Check, Known, Outcome, checks};
use updraft_core::{Facts, Inflater, Inspector};

fuzz_target!(|data: &[u8]| {
    let [one, two, file @ ..] = data else { return };
    let facts = inspect(file, [file.len().max(1), 1]);
    // Some pieces of a few bytes, some of a few hundred.
    assert_eq!(inspect(file, [usize::from(*one) + 1, usize::from(*two) * 16 + 1]), facts);
    assert!(facts.fault.is_none() || facts.ota().is_err());
    // The list of checks comes to the same, and looks at segments, too.
    let known = Known::default();
    let mut failed = checks(&facts, &known).filter(|(check, outcome)| {
        matches!(outcome, Outcome::Failed(_)) && *check != Check::Segments
    });
    assert_eq!(failed.next().is_some(), facts.ota().is_err());
});

/// Inspects `file` in pieces of these two sizes by turns.
fn inspect(file: &[u8], sizes: [usize; 2]) -> Facts {
    let mut inflater = Box::new(Inflater::new());
    let mut inspector = Inspector::with_inflater(file.len() as u64, &mut inflater);
    let mut rest = file;
    for size in sizes.into_iter().cycle() {
        if rest.is_empty() {
            break;
        }
        let (piece, after) = rest.split_at(size.min(rest.len()));
        inspector.update(piece);
        rest = after;
    }
    inspector.finish()
}
