//! Links of one Markdown file to others of the project lead somewhere. Links to other places, and to
//! Rust's items, are none of its business.

use std::path::Path;

/// The broken rules, a line each. `exists` answers for a path from the root.
pub(super) fn check(path: &str, text: &str, exists: impl Fn(&Path) -> bool) -> Vec<String> {
    if Path::new(path).extension().is_none_or(|kind| kind != "md") {
        return Vec::new();
    }
    let folder = Path::new(path).parent().unwrap_or(Path::new(""));
    let mut problems = Vec::new();
    let mut is_code = false;
    for (number, line) in (1..).zip(text.lines()) {
        if line.trim_start().starts_with("```") {
            is_code = !is_code;
        } else if !is_code {
            let dead = targets(line).filter(|target| !exists(&folder.join(target)));
            problems.extend(dead.map(|target| format!("{path}:{number}: no file {target}")));
        }
    }
    problems
}

/// The relative targets of a line's links, without their fragments.
fn targets(line: &str) -> impl Iterator<Item = &str> {
    let inline = line.split("](").skip(1).filter_map(|rest| rest.split([')', ' ']).next());
    let defined = line.starts_with('[').then(|| line.split_once("]: ")).flatten();
    inline
        .chain(defined.and_then(|(_, target)| target.split(' ').next()))
        .filter(|target| !target.contains(':'))
        .filter_map(|target| target.split('#').next())
        .filter(|target| !target.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Checks a file `docs/a.md` in a project that also has `docs/b.md` and `README.md`.
    fn check(text: &str) -> Vec<String> {
        super::check("docs/a.md", text, |path| {
            [Path::new("docs/b.md"), Path::new("docs/../README.md")].contains(&path)
        })
    }

    #[test]
    fn links_that_lead_somewhere_are_fine() {
        let text = "[b](b.md) and [up](../README.md#start \"title\")\n[c]: b.md\n[d](#here)\n\
                    [web](https://example.org/x) [item](crate::Image)\n```\n[x](nowhere)\n```\n";
        assert_eq!(check(text), Vec::<String>::new());
    }

    #[test]
    fn a_link_to_nowhere_is_not() {
        assert_eq!(check("text\n[b](b.md)[c](c.md)"), ["docs/a.md:2: no file c.md"]);
        assert_eq!(check("[c]: ../c.md#x"), ["docs/a.md:1: no file ../c.md"]);
    }

    #[test]
    fn other_files_have_no_links() {
        let problems = super::check("a.rs", "//! [x](nowhere)", |_| false);
        assert_eq!(problems, Vec::<String>::new());
    }
}
