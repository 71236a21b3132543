//! How an ESP8266 starts: the ROM loads eboot from the start of the flash, eboot does as it was told and
//! loads the sketch behind itself.
//!
//! Nobody looks whether the sketch is whole: one with a wrong byte starts, and crashes where it gets
//! there. What is called started here is what is loaded and entered; whoever asks compares it with what
//! it should be, or asks [`self_check`].

use crc::{CRC_32_MPEG_2, Crc, Table};

use super::eboot::{self, Copied, Order, Rtc};
use super::image::{Walk, words};
use super::{Dead, ImageFault, Started};
use crate::flash::{Flash, FlashError};

/// Where the application stands behind eboot (`APP_START_OFFSET`).
const APPLICATION: u32 = 0x1000;
/// Bytes of a header.
const HEADER: u64 = 8;
/// Addresses of RAM for code and for data, into which segments are loaded; of flash that is mapped
/// (ESP8266 memory map: 32 KiB of each kind of instruction RAM at 0x40100000, data RAM from 0x3FFE8000, flash
/// from 0x40200000).
const CODE: std::ops::Range<u32> = 0x4010_0000..0x4011_0000;
const MAPPED: std::ops::Range<u32> = 0x4020_0000..0x4030_0000;

/// Sum over a sketch that its linker writes into it (`elf2bin.py`), which it can check itself.
static CRC: Crc<u32, Table<16>> = Crc::<u32, Table<16>>::new(&CRC_32_MPEG_2);

/// What eboot did before it loaded the sketch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Boot {
    /// What a copy came to; `None` if none was asked for.
    pub copied: Option<Copied>,
    /// What started.
    pub outcome: Result<Started, Dead>,
}

/// Starts the device. `rtc` is what memory holds: after a cut of the power, nothing.
pub fn boot(flash: &mut Flash, rtc: &mut Rtc) -> Boot {
    let mut copied = None;
    let outcome = start(flash, rtc, &mut copied);
    Boot { copied, outcome }
}

fn start(flash: &mut Flash, rtc: &mut Rtc, copied: &mut Option<Copied>) -> Result<Started, Dead> {
    rom(flash)?.map_err(Dead::BootLoader)?;
    let from = match rtc.order() {
        None => 0,
        Some(Order::Load { from }) => {
            rtc.clear();
            from
        }
        Some(Order::Copy { from, to, size }) => {
            let code = eboot::copy(flash, from, to, size)?;
            *copied = Some(code);
            rtc.clear();
            if code != Copied::Done {
                // It restarts, and finds no command.
                return start(flash, rtc, copied);
            }
            to
        }
    };
    load(flash, from)?.map_err(Dead::Sketch)
}

/// The chip's ROM: segments into RAM, the checksum, and off it goes.
fn rom(flash: &Flash) -> Result<Result<(), ImageFault>, FlashError> {
    let walk = match Walk::over(flash, 0, HEADER, APPLICATION.into())? {
        Ok(walk) => walk,
        Err(fault) => return Ok(Err(fault)),
    };
    let [sum, stored] = walk.checksums(flash)?;
    if sum != stored {
        return Ok(Err(ImageFault::Checksum));
    }
    Ok(runs(&walk))
}

/// eboot: what goes into RAM is loaded, what is mapped stays where it is, and nothing is checked. A
/// header that is none leads it to nowhere.
fn load(flash: &Flash, from: u32) -> Result<Result<Started, ImageFault>, FlashError> {
    let start = u64::from(from) + u64::from(APPLICATION);
    let walk = match Walk::over(flash, start, HEADER, flash.size().into())? {
        Ok(walk) => walk,
        Err(fault) => return Ok(Err(fault)),
    };
    // `sketchSize` of the core: the first block of 16 bytes behind the last segment.
    let end = walk.checksum_end();
    let size = u32::try_from(end - u64::from(from)).unwrap_or(u32::MAX);
    Ok(runs(&walk).map(|()| Started { start: from, size, sha256: None }))
}

/// Whether the place where it begins is part of what was loaded or mapped.
fn runs(walk: &Walk) -> Result<(), ImageFault> {
    let entry = walk.entry();
    let holds_entry = walk.segments.iter().any(|segment| {
        let end = u64::from(segment.address) + u64::from(segment.length);
        (u64::from(segment.address)..end).contains(&entry.into())
    });
    let executes = CODE.contains(&entry) || MAPPED.contains(&entry);
    if holds_entry && executes { Ok(()) } else { Err(ImageFault::Entry(entry)) }
}

/// What a sketch finds that checks itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SelfCheck {
    /// It is as it was linked.
    Whole,
    /// It is not.
    Damaged,
}

/// What the sketch that started is worth: the sum of `elf2bin.py` over it (`ESP.checkFlashCRC`), where
/// it has none the checksum of its segments. The flash mode in byte 2 may be another one than when it
/// was linked.
pub fn self_check(flash: &Flash, started: &Started) -> Result<SelfCheck, Dead> {
    let start = u64::from(started.start) + u64::from(APPLICATION);
    let limit = u64::from(flash.size());
    let walk = Walk::over(flash, start, HEADER, limit)?.map_err(Dead::Sketch)?;
    // Length and sum are the first words of the code that is mapped: 0x40201010 in every sketch.
    let at = start + HEADER + 8;
    let [length, crc] = words(flash, at)?;
    let end = u64::from(started.start) + u64::from(length);
    let is_whole = if length == 0 && crc == 0 {
        let [sum, stored] = walk.checksums(flash)?;
        sum == stored
    } else if length != started.size || end > limit {
        false
    } else {
        let mut bytes = flash.bytes(started.start..started.start + length)?;
        let words = usize::try_from(at - u64::from(started.start)).unwrap_or_default();
        bytes[words..words + 8].fill(0);
        (0..4).any(|mode| {
            bytes[2] = mode;
            CRC.checksum(&bytes) == crc
        })
    };
    Ok(if is_whole { SelfCheck::Whole } else { SelfCheck::Damaged })
}
