//! Firmware that moves in: files become releases, and the script's devices are tied to theirs.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path as FilePath, PathBuf};

use serde::Serialize;
use updraft_core::Inflater;
use updraft_server::api::wire::{Device, ImportRow, Imported, PatchDevice, Release};
use ureq::http::Method;

use super::php::{self, Entry};
use crate::client::{Client, Path};
use crate::failure::Failure;
use crate::files;
use crate::fleet::publish;
use crate::fleet::screen::Screen;

/// What was done.
#[derive(Default, Serialize)]
struct Report {
    releases: Vec<Release>,
    devices: Option<Imported>,
    /// Files and devices that were left out, and why.
    left_out: Vec<String>,
}

/// Publishes every file of a folder whose name says what it is.
pub(super) fn folder(
    client: &Client,
    folder: &FilePath,
    screen: &mut Screen<'_>,
) -> Result<(), Failure> {
    let mut paths = fs::read_dir(folder)
        .and_then(|entries| entries.map(|entry| Ok(entry?.path())).collect::<Result<Vec<_>, _>>())
        .map_err(|error| files::unreadable(folder, &error))?;
    paths.sort();
    let mut report = Report::default();
    let is_firmware =
        |path: &&PathBuf| path.extension().is_some_and(|extension| extension == "bin");
    for path in paths.iter().filter(is_firmware) {
        let stem = path.file_stem().map(|stem| stem.to_string_lossy().into_owned());
        report.publish(client, stem.as_deref().unwrap_or_default(), path)?;
    }
    screen.show(&report, say)
}

/// Brings the devices of a script in, and the firmware that it names.
pub(super) fn php(
    client: &Client,
    table: &[Entry],
    bin: &FilePath,
    screen: &mut Screen<'_>,
) -> Result<(), Failure> {
    let mut report = Report::default();
    let mut known = BTreeMap::new();
    for entry in table {
        if !known.contains_key(&*entry.firmware) {
            let path = bin.join(format!("{}.bin", entry.firmware));
            known.insert(&*entry.firmware, report.publish(client, &entry.firmware, &path)?);
        }
    }
    let ties: Vec<_> = table
        .iter()
        .filter_map(|entry| Some((&entry.mac, known.get(&*entry.firmware)?.as_ref()?)))
        .collect();
    let row = |(mac, (product, _)): &(&String, &(String, String))| ImportRow {
        mac: (*mac).clone(),
        product: Some(product.clone()),
        ..ImportRow::default()
    };
    report.devices = Some(super::devices(client, &ties.iter().map(row).collect::<Vec<_>>())?);
    for (mac, (_, version)) in ties {
        let pin = PatchDevice { pin: Some(Some(version.clone())), ..PatchDevice::default() };
        let _: Device = client.change(Method::PATCH, &Path::of(&["devices", mac]), &pin)?;
    }
    for entry in table.iter().filter(|entry| matches!(known.get(&*entry.firmware), Some(None))) {
        report.left_out.push(format!("{}: there is no {}", entry.mac, entry.firmware));
    }
    screen.show(&report, say)
}

impl Report {
    /// Publishes one file; product and version if that could be done. A server that is not reached
    /// ends it all.
    fn publish(
        &mut self,
        client: &Client,
        stem: &str,
        path: &PathBuf,
    ) -> Result<Option<(String, String)>, Failure> {
        let published = match php::split(stem) {
            None => Err(Failure::of_file(path, "its name holds no version")),
            Some((product, version)) => {
                publish::judged(path, &mut Inflater::new()).and_then(|_| {
                    publish::release(client, product, version, "", std::slice::from_ref(path))
                })
            }
        };
        match published {
            Ok(release) => {
                let name = (release.product.clone(), release.version.clone());
                self.releases.push(release);
                Ok(Some(name))
            }
            Err(Failure::No(reason)) => {
                self.left_out.push(format!("{reason:#}"));
                Ok(None)
            }
            Err(Failure::Usage(reason)) if !path.exists() => {
                self.left_out.push(format!("{reason:#}"));
                Ok(None)
            }
            Err(other) => Err(other),
        }
    }
}

fn say(report: &Report, screen: &mut Screen<'_>) -> Result<(), Failure> {
    for release in &report.releases {
        screen.line(format_args!("published {} {}", release.product, release.version))?;
    }
    for reason in &report.left_out {
        screen.line(format_args!("left out  {reason}"))?;
    }
    report.devices.map_or(Ok(()), |Imported { new, known }| {
        screen.line(format_args!("{new} devices are new, {known} were known"))
    })
}
