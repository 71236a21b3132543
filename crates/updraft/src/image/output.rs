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
    /// Refuses early what could not be written at the end: over one of `sources`, or over a file that
    /// is to stay.
    pub(super) fn check(&self, sources: &[&Path]) -> Result<(), Failure> {
        if let Some(source) = sources.iter().find(|source| files::is_same(source, &self.output)) {
            let source = source.display();
            return Err(Failure::usage(format_args!(
                "the output would take the place of {source}"
            )));
        }
        files::check_free(&self.output, self.existing())
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
