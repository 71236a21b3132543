//! The machine and the versions that figures are from.

use std::fs;

use crate::shell::{command, output};

/// What the results say of where they are from, a line each.
pub(crate) fn describe(versions: &[String]) -> Vec<String> {
    let said = |program: &str, args: &[&str]| {
        let text = output(&mut command(program, args)).unwrap_or_else(|_| "unknown".to_owned());
        text.trim().to_owned()
    };
    let cpus = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let memory = fs::read_to_string("/proc/meminfo").unwrap_or_default();
    let memory = field(&memory, "MemTotal").and_then(gib).unwrap_or_default();
    let kernel = said("uname", &["-r"]);
    // A build's name says nothing of the kernel.
    let kernel = kernel.split('-').next().unwrap_or_default();
    let congestion = fs::read_to_string("/proc/sys/net/ipv4/tcp_congestion_control");
    let congestion = congestion.as_deref().unwrap_or("unknown").trim();
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let model = field(&cpus, "model name").unwrap_or("unknown processor");
    let commit = said("git", &["describe", "--always", "--dirty", "--abbrev=10"]);
    let software = [vec![said("rustc", &["--version"])], versions.to_vec()].concat().join(", ");
    vec![
        format!(
            "Machine: {cores} cores ({model}), {memory} GiB, Linux {kernel}, congestion control {congestion}"
        ),
        format!("Updraft: {commit}; {software}"),
        format!("Date: {}", said("date", &["-u", "+%Y-%m-%d"])),
    ]
}

/// The value of the first line `name : value`.
fn field<'t>(text: &'t str, name: &str) -> Option<&'t str> {
    let mut values = text.lines().filter_map(|line| line.split_once(':'));
    values.find(|(key, _)| key.trim() == name).map(|(_, value)| value.trim())
}

/// `24684096 kB` in whole GiB.
fn gib(size: &str) -> Option<u64> {
    let kib: u64 = size.strip_suffix(" kB")?.parse().ok()?;
    Some((kib + (1 << 19)) >> 20)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_found() {
        let text = "processor\t: 0\nmodel name\t: A 1\nmodel name\t: B\n";
        assert_eq!(field(text, "model name"), Some("A 1"));
        assert_eq!(field(text, "none"), None);
        assert_eq!(gib("24684096 kB"), Some(24));
    }

    #[test]
    fn this_machine_is_described() {
        assert_eq!(describe(&["nginx/1".into()]).len(), 3);
    }
}
