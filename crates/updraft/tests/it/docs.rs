//! What the documents show is what the command says: the console blocks of `docs/images.md` are run,
//! line by line, and those of the README that look at files. No command is known here.
//!
//! A line `...` stands for lines that are left out. In a block below `<!-- varies -->` long runs of hex
//! digits, which keys made anew change, count as equal.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::Command;

/// As many hex digits as an MD5 has, or more, are a digest.
const DIGEST: usize = 32;
/// Printed behind the output of each command.
const END: char = '\u{1}';

/// A command of a document, and what it is said to print.
#[derive(Debug)]
struct Step<'a> {
    command: String,
    output: Vec<&'a str>,
    varies: bool,
}

#[test]
fn the_page_on_images_shows_what_the_command_says() {
    let text = document("docs/images.md");
    let steps: Vec<_> = blocks(&text).into_iter().flatten().collect();
    assert!(steps.len() >= 30, "{}", steps.len());
    check(&steps);
}

#[test]
fn the_readme_shows_what_the_command_says() {
    let text = document("README.md");
    let looks_at_files = |step: &Step<'_>| step.command.starts_with("updraft image ");
    let steps: Vec<_> =
        blocks(&text).into_iter().filter(|block| block.iter().all(looks_at_files)).collect();
    assert!(!steps.is_empty());
    check(&steps.into_iter().flatten().collect::<Vec<_>>());
}

/// Runs all commands in one shell, in an empty folder that has the project's `examples`.
fn check(steps: &[Step<'_>]) {
    let folder = tempfile::tempdir().unwrap();
    symlink(root().join("examples"), folder.path().join("examples")).unwrap();
    // `$?` is still that of the command before.
    let end = "{ code=$?; printf '\\001'; (exit $code); }";
    let script = steps.iter().map(|step| format!("{}\n{end}\n", step.command));
    let script = format!("exec 2>&1\n{}", script.collect::<String>());
    let binaries = Path::new(env!("CARGO_BIN_EXE_updraft")).parent().unwrap();
    let path = format!("export PATH='{}':\"$PATH\"\n", binaries.display());
    let output =
        Command::new("sh").args(["-c", &(path + &script)]).current_dir(folder.path()).output();
    let said = String::from_utf8(output.unwrap().stdout).unwrap();
    let said: Vec<_> = said.split_terminator(END).collect();
    assert_eq!(said.len(), steps.len(), "{said:#?}");
    for (step, said) in steps.iter().zip(said) {
        let line =
            |line: &&str| if step.varies { without_digests(line) } else { (*line).to_owned() };
        let shown: Vec<_> = step.output.iter().map(line).collect();
        let said: Vec<_> = said.lines().collect::<Vec<_>>().iter().map(line).collect();
        assert!(
            fits(&shown, &said),
            "$ {}\nis shown as\n{}\nand says\n{}",
            step.command,
            shown.join("\n"),
            said.join("\n")
        );
    }
}

/// The steps of each `console` block.
fn blocks(text: &str) -> Vec<Vec<Step<'_>>> {
    let mut blocks = Vec::new();
    let mut lines = text.lines();
    let mut varies = false;
    while let Some(line) = lines.next() {
        if line == "```console" {
            let block: Vec<_> = lines.by_ref().take_while(|line| *line != "```").collect();
            blocks.push(steps(&block, varies));
        }
        varies = line == "<!-- varies -->";
    }
    blocks
}

/// A command begins with `$ `, and goes on below a backslash.
fn steps<'a>(block: &[&'a str], varies: bool) -> Vec<Step<'a>> {
    let mut steps: Vec<Step<'_>> = Vec::new();
    for line in block {
        match (line.strip_prefix("$ "), steps.last_mut()) {
            (Some(command), _) => {
                steps.push(Step { command: command.to_owned(), output: Vec::new(), varies });
            }
            (None, Some(step)) if step.command.ends_with('\\') => {
                step.command.push('\n');
                step.command.push_str(line);
            }
            (None, step) => step.unwrap().output.push(line),
        }
    }
    steps
}

fn fits(shown: &[String], said: &[String]) -> bool {
    match (shown, said) {
        ([gap, shown @ ..], _) if gap.trim() == "..." => {
            (0..=said.len()).any(|left_out| fits(shown, &said[left_out..]))
        }
        ([line, shown @ ..], [first, said @ ..]) => line == first && fits(shown, said),
        (shown, said) => shown.is_empty() && said.is_empty(),
    }
}

fn without_digests(line: &str) -> String {
    let word = |word: &str| {
        let digits = word.trim_matches(['"', ',']);
        let is_hex = digits.bytes().all(|byte| byte.is_ascii_hexdigit());
        if is_hex && digits.len() >= DIGEST { "DIGEST".to_owned() } else { word.to_owned() }
    };
    line.split(' ').map(word).collect::<Vec<_>>().join(" ")
}

fn document(path: &str) -> String {
    fs::read_to_string(root().join(path)).unwrap()
}

fn root() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../.."))
}

#[test]
fn a_line_that_differs_does_not_fit() {
    let check = |shown: &str, said: &str| {
        let lines = |text: &str| text.lines().map(str::to_owned).collect::<Vec<_>>();
        fits(&lines(shown), &lines(said))
    };
    assert!(check("a\n...\nd", "a\nb\nc\nd") && check("a\n  ...", "a") && check("", ""));
    assert!(!check("a\n...\nd", "a\nb") && !check("a", "a\nb") && !check("a\nb", "a"));
    let digest = "0123456789abcdef".repeat(2);
    assert_eq!(without_digests(&format!("key {digest} at 0xff")), "key DIGEST at 0xff");
}
