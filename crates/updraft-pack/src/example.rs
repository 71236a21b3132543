//! The images of `examples/firmware`: a small catalog to try the server with.

use updraft_core::Chip;

use crate::{BuildError, Esp32Image, Esp8266Image};

/// Every file of `examples/firmware`: its path below that folder, and its bytes.
#[expect(clippy::missing_panics_doc, reason = "the settings are constants, and a test builds them")]
pub fn example_firmware() -> Vec<(&'static str, Vec<u8>)> {
    build().expect("the examples use only possible settings")
}

fn build() -> Result<Vec<(&'static str, Vec<u8>)>, BuildError> {
    let app = |chip, project: &str, version: &str, seed| {
        Esp32Image::new(chip).project(project).version(version).filler(3000, seed).build()
    };
    Ok(vec![
        ("beta/door-1.3.0.bin", Esp8266Image::new().filler(1500, 130).build()?),
        ("door-1.2.0.bin", Esp8266Image::new().filler(1500, 120).build()?),
        ("gate-2.0.1.bin", app(Chip::Esp32, "gate", "2.0.1", 201)?),
        ("lamp-0.9.3.bin", app(Chip::Esp32C3, "lamp", "0.9.3", 93)?),
    ])
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    #[test]
    fn the_committed_examples_are_what_the_builder_makes() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/firmware");
        let mut total = 0;
        for (path, bytes) in example_firmware() {
            total += bytes.len();
            let committed = std::fs::read(folder.join(path)).unwrap_or_default();
            assert!(committed == bytes, "{path} differs: run `cargo xtask example`");
        }
        assert!(total <= 30 << 10, "the examples are {total} bytes");
    }
}
