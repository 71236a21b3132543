//! `cargo xtask example`: writes the firmware files of `examples/firmware` from the builder that makes
//! them. A test of `updraft-pack` holds what is committed equal to what the builder makes.

use std::fs;

use anyhow::{Context, Result};

use crate::shell::root;
use crate::ui;

/// The command.
pub(crate) fn run() -> Result<()> {
    let folder = root().join("examples/firmware");
    for (name, bytes) in updraft_pack::example_firmware() {
        let file = folder.join(name);
        let parent = file.parent().unwrap_or(&folder);
        fs::create_dir_all(parent)
            .and_then(|()| fs::write(&file, &bytes))
            .with_context(|| format!("cannot write {}", file.display()))?;
        ui::say(format_args!("examples/firmware/{name}: {} bytes", bytes.len()));
    }
    Ok(())
}
