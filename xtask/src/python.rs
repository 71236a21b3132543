//! Programs that come as Python packages, in a venv under `target/`: the judges of the tests (other
//! people's readings of the same file formats) and cargo's helpers. Every version is pinned here;
//! outside the venv nothing is touched.

use std::fs;
use std::path::PathBuf;

use anyhow::{Context, Result};

use crate::shell::{command, output, root, run, succeeds};
use crate::{debian, ui};

/// Espressif's tool and an independent image builder: what they say of our images decides.
pub(crate) const JUDGES: &[&str] = &["esptool==5.6.0", "esp-linker==1.4.2"];

/// A helper of cargo's: the wheels hold its plain binary, seconds instead of minutes to build it.
pub(crate) struct CargoTool {
    /// Its name, `cargo-…`.
    pub(crate) name: &'static str,
    /// Its pinned version.
    pub(crate) version: &'static str,
}

/// Runs the tests.
pub(crate) const NEXTEST: CargoTool = CargoTool { name: "cargo-nextest", version: "0.9.143" };
/// Licences, sources and bans.
pub(crate) const DENY: CargoTool = CargoTool { name: "cargo-deny", version: "0.20.2" };
/// Builds and runs fuzz targets.
pub(crate) const FUZZ: CargoTool = CargoTool { name: "cargo-fuzz", version: "0.13.2" };

/// The venv, made when it is missing, with the pinned packages in it.
pub(crate) fn venv(pins: &[&str]) -> Result<PathBuf> {
    let venv = folder();
    let stamp = venv.join("pins");
    let mut installed = fs::read_to_string(&stamp).unwrap_or_default();
    if !is_usable() {
        installed.clear();
        create()?;
    }
    let missing = missing_pins(&installed, pins);
    if missing.is_empty() {
        return Ok(venv);
    }
    let pip = ["-m", "pip", "--disable-pip-version-check", "install", "--quiet"];
    run(command(venv.join("bin/python"), &pip).args(&missing))?;
    installed.extend(missing.iter().map(|pin| format!("{pin}\n")));
    fs::write(&stamp, installed).with_context(|| format!("cannot write {}", stamp.display()))?;
    Ok(venv)
}

/// The helper's binary: from its wheel, or built from source where no wheel fits.
pub(crate) fn tool(tool: &CargoTool) -> Result<PathBuf> {
    let CargoTool { name, version } = tool;
    let binary = folder().join("bin").join(name);
    let is_there = || {
        let about = output(&mut command(&binary, &["--version"])).unwrap_or_default();
        about.split_whitespace().any(|word| word == *version)
    };
    if is_there() {
        return Ok(binary);
    }
    if let Err(error) = venv(&[&format!("astral-dev-toolchain-{name}=={version}")]) {
        ui::say(format_args!("{error:#}"));
    }
    if !is_there() {
        ui::say(format_args!("no wheel of {name} {version} fits: building it"));
        let install = ["install", "--locked", "--version", version, name, "--root"];
        run(command("cargo", &install).arg(folder()))?;
    }
    Ok(binary)
}

fn folder() -> PathBuf {
    root().join("target/judges")
}

/// Whether a venv is there, its Python runs, and it stands where it was made (its scripts name
/// their interpreter by its full path).
fn is_usable() -> bool {
    let script = fs::read_to_string(folder().join("bin/pip")).unwrap_or_default();
    script.contains(&format!("{}/bin/python", folder().display()))
        && succeeds(&mut command(folder().join("bin/python"), &["-c", ""]))
}

fn create() -> Result<()> {
    if !succeeds(&mut command("python3", &["-c", "import ensurepip, venv"])) {
        debian::need(&["python3-venv"])?;
    }
    run(command("python3", &["-m", "venv", "--clear"]).arg(folder()))
}

/// The pins that the stamp does not name. A version may have changed: the last one named holds.
fn missing_pins<'a>(stamp: &str, pins: &[&'a str]) -> Vec<&'a str> {
    let package = |pin: &str| pin.split("==").next().map(str::to_owned);
    let is_there = |pin: &&str| {
        stamp.lines().rfind(|line| package(line) == package(pin)).is_some_and(|line| line == *pin)
    };
    pins.iter().copied().filter(|pin| !is_there(pin)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_the_stamp_lacks_is_missing() {
        let stamp = "a==1\nb==1\na==2\n";
        assert_eq!(missing_pins(stamp, &["a==2", "b==1"]), Vec::<&str>::new());
        assert_eq!(missing_pins(stamp, &["a==1", "b==1", "c==1"]), ["a==1", "c==1"]);
        assert_eq!(missing_pins("", &["a==1"]), ["a==1"]);
    }
}
