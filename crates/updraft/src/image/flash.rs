//! `--flash LAYOUT`: how the flash of a device is divided, by name or as a file. It reads the
//! argument, and draws no conclusion from it.

use std::fs::File;
use std::io::{self, Read as _};

use updraft_core::{Esp8266Layout, Family, PartitionTable};

mod csv;

/// A longer file is no partition table, not even as text.
const MAX_TABLE: u64 = 64 << 10;

/// How a flash is divided.
#[derive(Clone, Debug)]
pub(crate) enum FlashLayout {
    /// One of the ESP8266 core's.
    Esp8266(Esp8266Layout),
    /// A partition table: one of Arduino-ESP32's, or that of a file, binary or CSV.
    Esp32 {
        /// What it was called by.
        name: String,
        /// The table.
        table: Box<PartitionTable>,
    },
}

impl FlashLayout {
    /// Reads the argument; the error is for the person who typed it.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        if let Some(layout) = Esp8266Layout::named(text) {
            return Ok(Self::Esp8266(layout));
        }
        let name = text.to_owned();
        if let Some(table) = PartitionTable::standard(text) {
            return Ok(Self::Esp32 { name, table: table.into() });
        }
        let mut bytes = Vec::new();
        match File::open(text).and_then(|file| file.take(MAX_TABLE).read_to_end(&mut bytes)) {
            Ok(_) => {
                let table =
                    read(&bytes).map_err(|fault| format!("not a partition table: {fault}"))?;
                Ok(Self::Esp32 { name, table: table.into() })
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => Err(unknown()),
            Err(error) => Err(format!("cannot read the partition table: {error}")),
        }
    }

    /// What it was called by.
    pub(crate) fn name(&self) -> &str {
        match self {
            Self::Esp8266(layout) => layout.name(),
            Self::Esp32 { name, .. } => name,
        }
    }

    /// Whose flash is divided so.
    pub(crate) fn family(&self) -> Family {
        match self {
            Self::Esp8266(_) => Family::Esp8266,
            Self::Esp32 { .. } => Family::Esp32,
        }
    }
}

/// The table of a file: as it stands in the flash, or as text.
fn read(bytes: &[u8]) -> Result<PartitionTable, String> {
    match std::str::from_utf8(bytes) {
        Ok(text) => csv::parse(text.trim_start_matches('\u{FEFF}')),
        Err(_) => PartitionTable::parse(bytes).map_err(|fault| fault.to_string()),
    }
}

fn unknown() -> String {
    let layouts: Vec<_> = Esp8266Layout::all().map(|layout| layout.name()).collect();
    let tables: Vec<_> = PartitionTable::standard_names().collect();
    format!(
        "no such layout, and no such file; ESP8266: {}; ESP32: {}, or the file of a partition table",
        layouts.join(" "),
        tables.join(" ")
    )
}
