//! One valid file of each kind.

use updraft_core::Chip;
use updraft_pack::{
    Esp32Image, Esp8266Image, eboot, esp32_boot_loader, merged_flash, partition_table,
};

use crate::{gzip, signed};

pub(crate) fn sketch() -> Vec<u8> {
    Esp8266Image::new().filler(900, 1).build().unwrap()
}

pub(crate) fn app() -> Vec<u8> {
    Esp32Image::new(Chip::Esp32S3).filler(300, 2).code(&[7; 90]).build().unwrap()
}

pub(crate) fn littlefs() -> Vec<u8> {
    let mut image = vec![0xFF; 2 * 4096];
    image[..8].copy_from_slice(&[2, 0, 0, 0, 0xF0, 0x0F, 0xFF, 0xF7]);
    image[8..16].copy_from_slice(b"littlefs");
    let words = [0x1800_20E0_u32, 0x0002_0001, 4096, 2];
    for (slot, word) in image[16..].chunks_exact_mut(4).zip(words) {
        slot.copy_from_slice(&word.to_le_bytes());
    }
    image
}

pub(crate) fn spiffs(block: usize, count: u16) -> Vec<u8> {
    let mut image = vec![0xFF; block * usize::from(count)];
    for (left, block) in (1..=count).rev().zip(image.chunks_exact_mut(block)) {
        // 0x20140529 ^ page size ^ blocks left, 16 bits of it.
        let magic = 0x0529 ^ 256 ^ left;
        block[252..254].copy_from_slice(&magic.to_le_bytes());
    }
    image
}

pub(crate) fn fat() -> Vec<u8> {
    let mut image = vec![0; 4096 * 4];
    image[..3].copy_from_slice(&[0xEB, 0xFE, 0x90]);
    image[11..13].copy_from_slice(&4096_u16.to_le_bytes());
    image[16] = 2;
    image[19..21].copy_from_slice(&4_u16.to_le_bytes());
    image[510..512].copy_from_slice(&[0x55, 0xAA]);
    image
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
