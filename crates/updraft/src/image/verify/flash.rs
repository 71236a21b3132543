//! What `--flash` names: a layout of the ESP8266 core, a partition table of Arduino-ESP32, or a file
//! with a partition table.

use std::path::Path;

use anyhow::{Context as _, anyhow};
use updraft_core::verify::Flash;
use updraft_core::{Esp8266Layout, PartitionTable};

/// How a flash is divided.
#[derive(Debug)]
pub(super) enum Layout {
    Esp8266(Esp8266Layout),
    Esp32(Box<PartitionTable>),
}

impl Layout {
    pub(super) fn read(name: &str) -> anyhow::Result<Self> {
        if let Some(layout) = Esp8266Layout::named(name) {
            return Ok(Self::Esp8266(layout));
        }
        if let Some(table) = PartitionTable::standard(name) {
            return Ok(Self::Esp32(Box::new(table)));
        }
        if !Path::new(name).exists() {
            let names: Vec<_> = Esp8266Layout::all().map(|layout| layout.name()).collect();
            let tables: Vec<_> = PartitionTable::standard_names().collect();
            return Err(anyhow!(
                "--flash {name} is neither a file nor one of {}, {}",
                names.join(", "),
                tables.join(", ")
            ));
        }
        let bytes = std::fs::read(name).with_context(|| format!("cannot read {name}"))?;
        let table = PartitionTable::parse(&bytes);
        let table = table.map_err(|fault| anyhow!("{name} is no partition table: {fault}"))?;
        Ok(Self::Esp32(Box::new(table)))
    }

    pub(super) fn flash(&self) -> Flash<'_> {
        match self {
            Self::Esp8266(layout) => Flash::Esp8266(*layout),
            Self::Esp32(table) => Flash::Esp32(table),
        }
    }
}
