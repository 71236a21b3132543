//! The file that a command makes of another one: where it may go, and how it is written.

use std::path::{Path, PathBuf};

use crate::failure::Failure;
use crate::files::{self, Access, Existing};

/// Where the result goes.
#[derive(Debug, clap::Args)]
pub(super) struct OutputArgs {
    /// The file to make.
    #[arg(short, long, value_name = "OUT")]
    output: PathBuf,
    /// Let it take the place of an existing file.
    #[arg(long)]
    force: bool,
}

impl OutputArgs {
    /// Refuses early what could not be written at the end: over one of `sources`, over a file that is
    /// to stay, over what is no file.
    pub(super) fn check(&self, sources: &[&Path]) -> Result<(), Failure> {
        let output = self.output.display();
        if let Some(source) = sources.iter().find(|source| files::is_same(source, &self.output)) {
            return Err(Failure::usage(format_args!(
                "the output would take the place of {}: -o names another file",
                source.display()
            )));
        }
        match self.output.symlink_metadata() {
            Ok(there) if !there.is_file() && !there.is_symlink() => {
                Err(Failure::usage(format_args!("{output} exists already, and is no file")))
            }
            Ok(_) if !self.force => {
                let hint = "--force lets the new one take its place";
                Err(Failure::usage(format_args!("{output} exists already: {hint}")))
            }
            _ => Ok(()),
        }
    }

    /// Writes it.
    pub(super) fn write(&self, bytes: &[u8]) -> Result<(), Failure> {
        files::write(&self.output, bytes, Access::Usual, self.existing())
    }

    /// Its path.
    pub(super) fn path(&self) -> &Path {
        &self.output
    }

    fn existing(&self) -> Existing {
        if self.force { Existing::Replace } else { Existing::Keep }
    }
}
