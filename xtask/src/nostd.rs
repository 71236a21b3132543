//! `cargo xtask nostd`: builds what must run on a chip for the smallest of them (riscv32imc: no
//! atomic compare-and-swap), with `core` and nothing else, so that std or an allocator that crept in
//! is an error here, not at a user's.
//!
//! A pinned toolchain need not bring the sources of its library. Debian has a compiler with its
//! matching sources; both are unpacked under `target/nostd`, touching neither rustup's toolchains
//! nor the system's packages.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

use crate::shell::{self, command, output, root};
use crate::{debian, ui};

/// The crates that must run on a chip.
const CRATES: &[&str] = &["updraft-core", "updraft-agent"];

/// The ESP32-C3's instruction set: what builds for it builds for its siblings.
const TARGET: &str = "riscv32imc-unknown-none-elf";

/// What Debian's compiler links to, beyond the C library.
const LIBRARIES: &[&str] = &["libedit2", "libffi8", "libxml2", "libz3-4"];

/// The command.
pub(crate) fn run() -> Result<()> {
    let compiler = compiler(&root().join("target/nostd/toolchain"))?;
    let mut build = command("cargo", &["build", "--lib", "--target", TARGET, "-Zbuild-std=core"]);
    build.args(["--target-dir", "target/nostd/build"]);
    build.args(CRATES.iter().flat_map(|name| ["--package", name]));
    // BOOTSTRAP opens -Zbuild-std to a stable compiler.
    shell::run(build.env("RUSTC", compiler).env("RUSTC_BOOTSTRAP", "1"))
}

/// The second compiler, unpacked into this folder on first use.
fn compiler(folder: &Path) -> Result<PathBuf> {
    let stamp = folder.join("complete");
    let compiler = folder.join("rustc");
    if stamp.exists() {
        return Ok(compiler);
    }
    debian::need(LIBRARIES)?;
    if folder.exists() {
        fs::remove_dir_all(folder).context("cannot clear target/nostd/toolchain")?;
    }
    ui::step("second compiler", || {
        let packages = Packages::find()?;
        packages.unpack(folder)?;
        write_wrapper(&compiler).context("cannot write the compiler's wrapper")?;
        let version = output(&mut command(&compiler, &["--version"]))?;
        ui::say(version.trim());
        fs::write(&stamp, version).context("cannot write the stamp")
    })?;
    Ok(compiler)
}

/// The names of Debian's packages for one version of the compiler.
struct Packages {
    /// The compiler, its standard library for this machine, and LLVM.
    binary: Vec<String>,
    /// The sources of the library.
    source: &'static str,
}

impl Packages {
    fn find() -> Result<Self> {
        // Versions move on; what older lists name may be gone.
        debian::update();
        let version = candidate()?.context("the lists of packages know no rustc-web")?;
        let minor = minor(&version).with_context(|| format!("odd version {version}"))?;
        let library = format!("libstd-rust-web-{minor}");
        let about = output(&mut command(
            "apt-cache",
            &["show", &format!("rustc-web={version}"), &format!("{library}={version}")],
        ))?;
        let llvm = llvm(&about).context("rustc-web depends on no LLVM")?;
        let binary = vec!["rustc-web".to_owned(), library, "libstd-rust-web-dev".to_owned(), llvm];
        Ok(Self { binary, source: "rust-web-src" })
    }

    fn unpack(&self, folder: &Path) -> Result<()> {
        let debs = folder.join("debs");
        fs::create_dir_all(&debs).context("cannot make target/nostd/toolchain/debs")?;
        let mut download = command("apt-get", &["-qq", "download"]);
        shell::run(download.args(&self.binary).arg(self.source).current_dir(&debs))?;
        for name in &self.binary {
            shell::run(command("dpkg-deb", &["-x"]).arg(deb(&debs, name)?).arg(folder))?;
        }
        // Of the sources only the library's; the compiler's own are large, and not needed.
        let tar = debs.join("source.tar");
        let source = deb(&debs, self.source)?;
        let mut plain = command("dpkg-deb", &["--fsys-tarfile"]);
        let file = fs::File::create(&tar).context("cannot make source.tar")?;
        shell::run(plain.arg(source).stdout(file))?;
        let mut extract = command("tar", &["--wildcards", "-x", "-f"]);
        extract.arg(&tar).arg("-C").arg(folder);
        shell::run(extract.args(["./usr/src/rustc-*/library", "./usr/lib/rustlib/src/rust"]))?;
        fs::remove_dir_all(debs).context("cannot remove the downloaded packages")
    }
}

/// The version that would be installed; none when the lists do not know the package.
fn candidate() -> Result<Option<String>> {
    let policy = output(&mut command("apt-cache", &["policy", "rustc-web"]))?;
    let version = policy.lines().find_map(|line| line.trim().strip_prefix("Candidate: "));
    Ok(version.filter(|version| *version != "(none)").map(str::to_owned))
}

/// `1.96` of `1.96.0+dfsg1-1~deb12u2`.
fn minor(version: &str) -> Option<String> {
    let mut parts = version.split('.');
    Some(format!("{}.{}", parts.next()?, parts.next()?))
}

/// The LLVM package that a package's description depends on: `libllvm22`.
fn llvm(about: &str) -> Option<String> {
    let (_, rest) = about.split_once("libllvm")?;
    let digits: String = rest.chars().take_while(char::is_ascii_digit).collect();
    Some(format!("libllvm{digits}"))
}

fn deb(folder: &Path, package: &str) -> Result<PathBuf> {
    let prefix = format!("{package}_");
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.file_name().is_some_and(|name| name.to_string_lossy().starts_with(&prefix)) {
            return Ok(path);
        }
    }
    bail!("{package} was not downloaded")
}

/// The compiler finds its LLVM by this script only, from wherever the folder stands; nothing outside
/// learns of either.
fn write_wrapper(wrapper: &Path) -> Result<()> {
    let script = format!(
        "#!/bin/sh\nhere=$(dirname \"$0\")\n\
         LD_LIBRARY_PATH=\"$here/usr/lib/{}-linux-gnu\" exec \"$here/usr/bin/rustc\" \"$@\"\n",
        std::env::consts::ARCH,
    );
    fs::write(wrapper, script)?;
    fs::set_permissions(wrapper, fs::Permissions::from_mode(0o755))?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_and_llvm_are_read_from_the_lists() {
        assert_eq!(minor("1.96.0+dfsg1-1~deb12u2").as_deref(), Some("1.96"));
        assert_eq!(minor("odd"), None);
        let about = "Depends: libc6 (>= 2.36), libllvm22 (>= 1:22.1), libstd-rust-web-dev\n";
        assert_eq!(llvm(about).as_deref(), Some("libllvm22"));
        assert_eq!(llvm("Depends: libc6"), None);
    }
}
