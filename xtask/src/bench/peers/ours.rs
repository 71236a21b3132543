//! Updraft, as a user starts it: no setting but the folders, the address and the log level.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::Result;

use super::{Process, Running, free_address};
use crate::bench::site::Site;
use crate::shell::{self, command, root};

/// Builds the program that is measured.
pub(crate) fn build() -> Result<PathBuf> {
    shell::run(&mut command("cargo", &["build", "--release", "--package", "updraft"]))?;
    Ok(program())
}

fn program() -> PathBuf {
    root().join("target/release/updraft")
}

/// Starts it. The data folder stays with the site, so that a second start is a warm one.
pub(super) fn start(folder: &Path, site: &Site) -> Result<Running> {
    let address = free_address()?;
    let data = site.folder.with_extension("data");
    fs::create_dir_all(&data)?;
    let mut serve = Command::new(program());
    // No configuration of this user's, neither from the environment nor from a file.
    serve.env_clear().current_dir(folder).arg("serve");
    serve.arg("-d").arg(&site.folder).arg("--data").arg(data);
    serve.args(["-b", "127.0.0.1", "-p", &address.port().to_string(), "-l", "warning"]);
    let process = Process::start(serve, folder.join("log"))?;
    Ok(Running { address, list: "/_catalog?op=list&path=.", processes: vec![process] })
}
