//! A PHP script behind nginx, as ESP8266's documentation proposes: FPM with eight processes that are
//! always there, compiled scripts kept in memory.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};

use super::{Process, Running, first_program, nginx, write};
use crate::bench::load::request::{VERSION, mac};
use crate::bench::site::{DEVICES, Site};
use crate::shell::{command, output};

/// `php-fpm`, or the newest of those that carry their version in the name, as Debian's does.
pub(super) fn program() -> Option<PathBuf> {
    let mut found: Vec<PathBuf> = fs::read_dir("/usr/sbin")
        .into_iter()
        .flatten()
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|path| path.file_name().is_some_and(|n| n.to_string_lossy().starts_with("php-fpm")))
        .collect();
    found.sort();
    first_program(found.into_iter().rev())
}

pub(super) fn version() -> Result<String> {
    let about = output(&mut command(program().context("no php-fpm")?, &["-v"]))?;
    // "PHP 8.2.36 (fpm-fcgi) ..."
    Ok(about.split(" (").next().unwrap_or_default().to_owned())
}

/// Starts both. Every device of the table shall run the first image, in the version it reports.
pub(super) fn start(folder: &Path, site: &Site) -> Result<Running> {
    let image = site.images.first().context("a site without images")?;
    let file = site.folder.join(&image.name);
    let mut table = "<?php return [\n".to_owned();
    for number in 0..DEVICES {
        writeln!(table, "'{}' => ['{}', '{VERSION}'],", mac(number), file.display())?;
    }
    write(folder, "devices.php", &(table + "];\n"))?;
    let script = write(folder, "update.php", include_str!("update.php"))?;

    let socket = folder.join("fpm");
    let config = format!(
        "[global]\nerror_log = /proc/self/fd/2\ndaemonize = no\n\
         [update]\nlisten = {}\nlisten.backlog = 4096\npm = static\npm.max_children = 8\n\
         php_admin_flag[opcache.enable] = on\nphp_admin_value[opcache.validate_timestamps] = 0\n",
        socket.display(),
    );
    let config = write(folder, "fpm.conf", &config)?;
    let mut fpm = Command::new(program().context("no php-fpm")?);
    // Root may serve as root here: only loopback, only this script.
    fpm.arg("-R").arg("-y").arg(config);
    let fpm = Process::start(fpm, folder.join("fpm.log"))?;

    let locations = format!(
        "location / {{
            fastcgi_pass unix:{};
            fastcgi_param SCRIPT_FILENAME '{}';
            fastcgi_param REQUEST_METHOD $request_method;
            fastcgi_param REQUEST_URI $request_uri;
            fastcgi_param SERVER_PROTOCOL $server_protocol;
        }}",
        socket.display(),
        script.display(),
    );
    nginx::run(folder, "", &locations, vec![fpm])
}
