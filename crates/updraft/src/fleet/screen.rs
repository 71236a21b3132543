//! What the fleet's commands show: lines and tables for people, or one JSON document for programs. It
//! knows nothing of what stands in them.

use std::fmt::Display;
use std::io::{self, IsTerminal as _, Write};

use serde::Serialize;

use crate::failure::Failure;
use crate::ui;

/// Standard output, in the form that was asked for.
pub(super) struct Screen<'a> {
    out: &'a mut dyn Write,
    is_json: bool,
}

impl<'a> Screen<'a> {
    pub(super) fn new(out: &'a mut dyn Write, is_json: bool) -> Self {
        Self { out, is_json }
    }

    /// Shows the document to programs, or has `words` say it to people.
    pub(super) fn show<T: Serialize>(
        &mut self,
        document: &T,
        words: impl FnOnce(&T, &mut Self) -> Result<(), Failure>,
    ) -> Result<(), Failure> {
        if self.is_json {
            return ui::json(document, self.out).map_err(Failure::Usage);
        }
        words(document, self)
    }

    /// A line for people.
    pub(super) fn line(&mut self, text: impl Display) -> Result<(), Failure> {
        writeln!(self.out, "{text}").map_err(unwritable)
    }

    /// A name and its value; nothing if there is none.
    pub(super) fn field(&mut self, name: &str, value: Option<impl Display>) -> Result<(), Failure> {
        value.map_or(Ok(()), |value| self.line(format_args!("{name:<16}{value}")))
    }

    /// A table; columns are as wide as what stands in them.
    pub(super) fn table<const N: usize>(
        &mut self,
        heads: [&str; N],
        rows: impl Iterator<Item = [String; N]>,
    ) -> Result<(), Failure> {
        let rows: Vec<_> = std::iter::once(heads.map(str::to_owned)).chain(rows).collect();
        let mut widths = [0; N];
        for row in &rows {
            for (width, cell) in widths.iter_mut().zip(row) {
                *width = cell.chars().count().max(*width);
            }
        }
        for row in &rows {
            let cells = row.iter().zip(widths).map(|(cell, width)| format!("{cell:<width$}"));
            let line = cells.collect::<Vec<_>>().join("  ");
            self.line(line.trim_end())?;
        }
        Ok(())
    }
}

/// What stands in a table where nothing is known.
pub(super) fn or_dash<T: Display>(value: Option<T>) -> String {
    value.map_or_else(|| "-".to_owned(), |value| value.to_string())
}

/// Asks a person for consent. Nobody is asked where nobody sits: that is consent.
pub(super) fn agree(question: &str) -> Result<(), Failure> {
    if !io::stdin().is_terminal() || !io::stderr().is_terminal() {
        return Ok(());
    }
    let mut answer = String::new();
    let asked = write!(io::stderr(), "{question} Go on? [y/N] ");
    asked.and_then(|()| io::stdin().read_line(&mut answer)).map_err(unwritable)?;
    match answer.trim() {
        "y" | "Y" | "yes" => Ok(()),
        _ => Err(Failure::no(anyhow::anyhow!("nothing was done"))),
    }
}

#[expect(clippy::needless_pass_by_value, reason = "a function for map_err")]
fn unwritable(error: io::Error) -> Failure {
    Failure::usage(format_args!("cannot write to standard output: {error}"))
}
