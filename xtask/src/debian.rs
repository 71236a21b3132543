//! Debian's packages: installs those that are missing, as root only. It removes and upgrades nothing.

use anyhow::{Result, bail};

use crate::shell::{command, output, run, succeeds};
use crate::ui;

/// Makes sure that these packages are installed.
pub(crate) fn need(packages: &[&str]) -> Result<()> {
    let missing: Vec<&str> = packages.iter().copied().filter(|name| !installed(name)).collect();
    if missing.is_empty() {
        return Ok(());
    }
    if !succeeds(&mut command("apt-get", &["--version"])) {
        bail!("this is no Debian; install what its packages {} hold", missing.join(", "));
    }
    if !is_root()? {
        bail!("as root, first run: apt-get install --no-install-recommends {}", missing.join(" "));
    }
    update();
    let install = ["-qq", "install", "-y", "--no-install-recommends"];
    run(command("apt-get", &install).args(missing).env("DEBIAN_FRONTEND", "noninteractive"))
}

/// Fetches the lists of packages. A source that cannot be reached is no failure: what is needed
/// from it is missed soon enough, with a better message.
pub(crate) fn update() {
    if let Err(error) = run(&mut command("apt-get", &["-qq", "update"])) {
        ui::say(format_args!("{error:#}; going on with the lists that are there"));
    }
}

fn installed(package: &str) -> bool {
    let mut query = command("dpkg-query", &["-W", "-f", "${db:Status-Status}", package]);
    output(&mut query).is_ok_and(|status| status == "installed")
}

fn is_root() -> Result<bool> {
    Ok(output(&mut command("id", &["-u"]))?.trim() == "0")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_package_is_not_installed() {
        assert!(!installed("no-such-package-anywhere"));
    }

    #[test]
    fn nothing_needed_is_nothing_done() {
        need(&[]).unwrap();
    }
}
