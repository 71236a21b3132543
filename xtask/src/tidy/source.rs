//! What one file of text must look like; mostly Rust. It reads lines, not syntax: a rule that needs
//! more belongs to Clippy.

use std::path::Path;

/// A file that needs more lines is two files.
const MAX_LINES: usize = 600;

/// The broken rules, a line each.
pub(super) fn check(path: &str, text: &str) -> Vec<String> {
    let is_rust = Path::new(path).extension().is_some_and(|kind| kind == "rs");
    let mut problems = Vec::new();
    if is_rust {
        problems.extend(whole(text).map(|problem| format!("{path}: {problem}")));
    }
    for (number, line) in (1..).zip(text.split('\n')) {
        let mut found = |problem: &str| problems.push(format!("{path}:{number}: {problem}"));
        blanks(line).for_each(&mut found);
        if is_rust {
            code(path, line).for_each(&mut found);
        }
    }
    problems
}

fn whole(text: &str) -> impl Iterator<Item = String> {
    let lines = text.lines().count();
    let header = ["//! ", "#![doc = include_str!"];
    let headless = !header.iter().any(|start| text.starts_with(start));
    let long = lines > MAX_LINES;
    headless.then(|| "starts with no module header (`//!`)".to_owned()).into_iter().chain(
        long.then(|| format!("{lines} lines; {MAX_LINES} is the most, so make it two files")),
    )
}

fn blanks(line: &str) -> impl Iterator<Item = &'static str> {
    let rules = [
        (line.contains('\t'), "a tab"),
        (line.ends_with('\r'), "ends in CR LF"),
        (line.ends_with([' ', '\t']), "blanks at its end"),
    ];
    broken(rules)
}

/// Rules for a line of Rust. Their words are put together here so that this file keeps them, too.
fn code(path: &str, line: &str) -> impl Iterator<Item = &'static str> {
    const OPEN_ENDS: &[&str] = &[
        concat!("TO", "DO"),
        concat!("FIX", "ME"),
        concat!("to", "do!"),
        concat!("unimpl", "emented!"),
    ];
    let path = Path::new(path);
    let is_named = |name: &str| path.file_name().is_some_and(|file| file == name);
    let code = without_comment(line);
    let is_attribute = code.trim_start().starts_with('#') || code.contains("#[");
    let rules = [
        (
            is_attribute && has_word(code, concat!("al", "low(")),
            "allows a lint; expect it, with a reason, so that it goes when it is no longer needed",
        ),
        (
            has_word(code, concat!("un", "safe")) && !is_named("sys.rs"),
            concat!("un", "safe code; it is kept in `sys.rs`"),
        ),
        (
            code.contains(".route(")
                && path.starts_with("crates/updraft-server")
                && !is_named("router.rs"),
            "a route; every URL is in `router.rs`",
        ),
        (OPEN_ENDS.iter().any(|word| has_word(line, word)), "an open end; finish or file it"),
    ];
    broken(rules)
}

fn broken<const N: usize>(rules: [(bool, &'static str); N]) -> impl Iterator<Item = &'static str> {
    rules.into_iter().filter_map(|(is_broken, rule)| is_broken.then_some(rule))
}

fn without_comment(line: &str) -> &str {
    let is_comment = line.trim_start().starts_with("//");
    let end = if is_comment { 0 } else { line.find(" //").unwrap_or(line.len()) };
    &line[..end]
}

/// Whether the line has this word, not as a part of a longer name.
fn has_word(line: &str, word: &str) -> bool {
    let continues = |c: Option<char>| c.is_some_and(|c| c.is_alphanumeric() || c == '_');
    line.match_indices(word).any(|(at, _)| {
        let before = line[..at].chars().next_back();
        let after = line[at + word.len()..].chars().next();
        !continues(before) && (!word.ends_with(char::is_alphanumeric) || !continues(after))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Checks a line of Rust in this file, below a header.
    fn check_line(path: &str, line: &str) -> Vec<String> {
        check(path, &format!("//! Header.\n{line}\n"))
    }

    #[track_caller]
    fn is_broken(path: &str, line: &str, rule: &str) {
        let problems = check_line(path, line);
        assert!(problems.len() == 1 && problems[0].contains(rule), "{line:?}: {problems:?}");
        assert!(problems[0].starts_with(&format!("{path}:2: ")), "{problems:?}");
    }

    #[track_caller]
    fn is_fine(path: &str, line: &str) {
        assert_eq!(check_line(path, line), Vec::<String>::new(), "{line:?}");
    }

    #[test]
    fn a_rust_file_starts_with_its_header() {
        assert_eq!(check("a.rs", "fn f() {}\n"), ["a.rs: starts with no module header (`//!`)"]);
        assert_eq!(
            check("a.rs", "#![doc = include_str!(\"../README.md\")]\n"),
            Vec::<String>::new()
        );
        assert_eq!(check("a.toml", "[package]\n"), Vec::<String>::new());
    }

    #[test]
    fn a_rust_file_is_short() {
        let text = "//! Header.\n".repeat(MAX_LINES);
        assert_eq!(check("a.rs", &text), Vec::<String>::new());
        let problems = check("a.rs", &format!("{text}//\n"));
        assert_eq!(problems, ["a.rs: 601 lines; 600 is the most, so make it two files"]);
    }

    #[test]
    fn no_lint_is_allowed() {
        is_broken("a.rs", concat!("#[al", "low(dead_code)]"), "allows a lint");
        is_broken("a.rs", concat!("    #![al", "low(dead_code)]"), "allows a lint");
        is_broken("a.rs", concat!("#[cfg_attr(test, al", "low(dead_code))]"), "allows a lint");
        is_fine("a.rs", "#[expect(dead_code, reason = \"...\")]");
        is_fine("a.rs", "fn disallow(this: bool) {}");
    }

    #[test]
    fn system_calls_are_in_one_file() {
        let line = concat!("    un", "safe { libc::getuid() }");
        is_broken("crates/updraft-server/src/main.rs", line, "kept in `sys.rs`");
        is_fine("crates/updraft-server/src/sys.rs", line);
        is_fine("a.rs", "#![forbid(unsafe_code)]");
        is_fine("a.rs", concat!("// Nothing un", "safe."));
    }

    #[test]
    fn every_url_is_in_the_router() {
        let line = "    Router::new().route(\"/\", get(page))";
        is_broken("crates/updraft-server/src/pages.rs", line, "a route");
        is_fine("crates/updraft-server/src/router.rs", line);
        is_fine("crates/updraft-sim/src/portal.rs", line);
    }

    #[test]
    fn no_end_is_left_open() {
        is_broken("a.rs", concat!("// TO", "DO: later"), "an open end");
        is_broken("a.rs", concat!("// FIX", "ME"), "an open end");
        is_broken("a.rs", concat!("    to", "do!()"), "an open end");
        is_broken("a.rs", concat!("    unimpl", "emented!(\"x\")"), "an open end");
        is_fine("a.rs", "let TODOS = 1;");
    }

    #[test]
    fn blanks_are_blanks() {
        is_broken("a.rs", "a\tb", "a tab");
        is_broken("a.rs", "a ", "blanks at its end");
        is_broken("a.rs", "a\r", "ends in CR LF");
        assert_eq!(check("a.md", "a \n"), ["a.md:1: blanks at its end"]);
    }
}
