//! One valid file of each kind.

use updraft_core::{Chip, FilesystemKind};
use updraft_pack::{
    Esp32Image, Esp8266Image, eboot, esp32_boot_loader, filesystem, merged_flash, partition_table,
};

use crate::{gzip, signed};

pub(crate) fn sketch() -> Vec<u8> {
    Esp8266Image::new().filler(900, 1).build().unwrap()
}

pub(crate) fn app() -> Vec<u8> {
    Esp32Image::new(Chip::Esp32S3).filler(300, 2).code(&[7; 90]).build().unwrap()
}

pub(crate) fn littlefs() -> Vec<u8> {
    filesystem(FilesystemKind::LittleFs, 4096, 2).unwrap()
}

pub(crate) fn spiffs(block: usize, count: usize) -> Vec<u8> {
    filesystem(FilesystemKind::Spiffs, block, count).unwrap()
}

pub(crate) fn fat() -> Vec<u8> {
    filesystem(FilesystemKind::Fat, 4096, 4).unwrap()
}

/// Name and bytes of each.
pub(crate) fn all() -> Vec<(&'static str, Vec<u8>)> {
    let small_app = Esp32Image::new(Chip::Esp32).build().unwrap();
    vec![
        ("sketch", sketch()),
        ("sketch without CRC", Esp8266Image::new().filler(60, 1).without_crc().build().unwrap()),
        ("signed sketch", signed(&sketch(), 256)),
        ("gzip", gzip(&sketch())),
        ("signed gzip", signed(&gzip(&sketch()), 64)),
        ("eboot", eboot().unwrap()),
        ("app", app()),
        ("app without hash", Esp32Image::new(Chip::Esp32C6).without_hash().build().unwrap()),
        ("gzip of an app", gzip(&app())),
        ("boot loader", esp32_boot_loader(Chip::Esp32).unwrap()),
        ("merged flash", merged_flash(Chip::Esp32, &small_app).unwrap()),
        ("merged flash, boot loader first", merged_flash(Chip::Esp32C3, &small_app).unwrap()),
        ("partition table", partition_table()),
        ("littlefs", littlefs()),
        ("spiffs", spiffs(4096, 3)),
        ("fat", fat()),
    ]
}
