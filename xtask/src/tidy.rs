//! `cargo xtask tidy`: the rules of the house that no compiler checks. Every rule is a pure function
//! of texts, with a test that breaks it. It changes no file.

mod layers;
mod links;
mod source;

use std::fs;
use std::path::Path;

use anyhow::{Context, Result, bail};

use crate::shell::{command, output, root};
use crate::ui;

/// The command.
pub(crate) fn run() -> Result<()> {
    let metadata = ["metadata", "--no-deps", "--format-version", "1"];
    let metadata = serde_json::from_str(&output(&mut command("cargo", &metadata))?)?;
    let mut problems = layers::check(&metadata);
    let files = files()?;
    for (path, text) in &files {
        problems.extend(source::check(path, text));
        problems.extend(links::check(path, text, |target| root().join(target).exists()));
    }
    if problems.is_empty() {
        ui::say(format_args!("{} files and the layers are in order", files.len()));
        return Ok(());
    }
    for problem in &problems {
        ui::say(problem);
    }
    bail!("{} rules broken", problems.len())
}

/// Path (from the root) and text of every file of the project that people write: what git knows or
/// would take, but for data files and other people's words.
fn files() -> Result<Vec<(String, String)>> {
    let list = ["ls-files", "-z", "--cached", "--others", "--exclude-standard"];
    let list = output(&mut command("git", &list))?;
    let paths = list.split_terminator('\0').filter(|path| is_text(path));
    // A file that git knows may just have been removed.
    paths
        .filter(|path| root().join(path).is_file())
        .map(|path| {
            let text = fs::read_to_string(root().join(path));
            Ok((path.to_owned(), text.with_context(|| format!("cannot read {path}"))?))
        })
        .collect()
}

fn is_text(path: &str) -> bool {
    const KINDS: &[&str] = &["css", "html", "js", "md", "rs", "sh", "sql", "svg", "toml"];
    Path::new(path).extension().is_some_and(|kind| KINDS.iter().any(|known| kind == *known))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_project_is_in_order() {
        run().unwrap();
    }

    #[test]
    fn texts_are_told_from_data() {
        assert!(is_text("crates/x/src/lib.rs") && is_text("README.md"));
        assert!(!is_text("testdata/wire/a.http") && !is_text("LICENSE-MIT"));
    }
}
