//! AutoConnect's `updateserver.py`, from a file that the user gives: it is not part of this project.

use std::path::Path;
use std::process::Command;

use anyhow::Result;

use super::{Process, Running, free_address};
use crate::bench::site::Site;

/// Starts it in the folder of the images: its list is right only there.
pub(super) fn start(folder: &Path, site: &Site, script: &Path) -> Result<Running> {
    let address = free_address()?;
    let mut serve = Command::new("python3");
    serve.current_dir(&site.folder).arg(script);
    serve.arg("-d").arg(site.folder.canonicalize()?);
    serve.args(["-b", "127.0.0.1", "-p", &address.port().to_string(), "-l", "ERROR"]);
    let process = Process::start(serve, folder.join("log"))?;
    Ok(Running { address, list: "/_catalog?op=list&path=.", processes: vec![process] })
}
