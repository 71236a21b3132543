//! How the flash of an ESP8266 is divided, by the names of the core's linker scripts, and where an
//! update is staged in it. Arithmetic only.

use core::ops::Range;

/// Flash sector: updates are staged, and copied, in whole ones.
const SECTOR: u32 = 4096;

/// One way of dividing the flash (`tools/sdk/ld/eagle.flash.<name>.ld` of the ESP8266 core).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Esp8266Layout {
    name: &'static str,
    flash: u32,
    filesystem_start: u32,
    filesystem_end: u32,
    eeprom: u32,
    block: u16,
    max_sketch: u32,
}

/// Where an update is staged until eboot copies it, in whole sectors.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Staging {
    /// Where it starts in the flash: the `from` of eboot's command.
    pub start: u32,
    /// Where its last sector ends: right below the filesystem.
    pub end: u32,
}

/// An update that does not fit below the filesystem beside the sketch that runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NoRoom {
    /// Bytes it takes, in whole sectors.
    pub needs: u32,
    /// Bytes there are.
    pub free: u32,
}

const KIB: u32 = 1 << 10;
const MIB: u32 = 1 << 20;

/// Largest sketch where a filesystem does not cut it short: the ESP8266 maps one MiB of its flash
/// at a time.
const MAPPED: u32 = 1_044_464;

const fn layout(
    name: &'static str,
    flash: u32,
    (filesystem_start, filesystem_end, eeprom): (u32, u32, u32),
    block: u16,
    max_sketch: u32,
) -> Esp8266Layout {
    Esp8266Layout { name, flash, filesystem_start, filesystem_end, eeprom, block, max_sketch }
}

const LAYOUTS: [Esp8266Layout; 26] = [
    layout("512k", 512 * KIB, (0x7_B000, 0x7_B000, 0x7_B000), 0, 499_696),
    layout("512k32", 512 * KIB, (0x7_3000, 0x7_B000, 0x7_B000), 4096, 466_928),
    layout("512k64", 512 * KIB, (0x6_B000, 0x7_B000, 0x7_B000), 4096, 434_160),
    layout("512k128", 512 * KIB, (0x5_B000, 0x7_B000, 0x7_B000), 4096, 368_624),
    layout("1m", MIB, (0xF_B000, 0xF_B000, 0xF_B000), 0, 1_023_984),
    layout("1m64", MIB, (0xE_B000, 0xF_B000, 0xF_B000), 4096, 958_448),
    layout("1m128", MIB, (0xD_B000, 0xF_B000, 0xF_B000), 4096, 892_912),
    layout("1m144", MIB, (0xD_7000, 0xF_B000, 0xF_B000), 4096, 876_528),
    layout("1m160", MIB, (0xD_3000, 0xF_B000, 0xF_B000), 4096, 860_144),
    layout("1m192", MIB, (0xC_B000, 0xF_B000, 0xF_B000), 4096, 827_376),
    layout("1m256", MIB, (0xB_B000, 0xF_B000, 0xF_B000), 4096, 761_840),
    layout("1m512", MIB, (0x7_B000, 0xF_B000, 0xF_B000), 8192, 499_696),
    layout("2m", 2 * MIB, (0x1F_B000, 0x1F_B000, 0x1F_B000), 0, MAPPED),
    layout("2m64", 2 * MIB, (0x1F_0000, 0x1F_B000, 0x1F_B000), 4096, MAPPED),
    layout("2m128", 2 * MIB, (0x1E_0000, 0x1F_B000, 0x1F_B000), 4096, MAPPED),
    layout("2m256", 2 * MIB, (0x1C_0000, 0x1F_B000, 0x1F_B000), 4096, MAPPED),
    layout("2m512", 2 * MIB, (0x18_0000, 0x1F_A000, 0x1F_B000), 8192, MAPPED),
    layout("2m1m", 2 * MIB, (0x10_0000, 0x1F_A000, 0x1F_B000), 8192, MAPPED),
    layout("4m", 4 * MIB, (0x3F_B000, 0x3F_B000, 0x3F_B000), 0, MAPPED),
    layout("4m1m", 4 * MIB, (0x30_0000, 0x3F_A000, 0x3F_B000), 8192, MAPPED),
    layout("4m2m", 4 * MIB, (0x20_0000, 0x3F_A000, 0x3F_B000), 8192, MAPPED),
    layout("4m3m", 4 * MIB, (0x10_0000, 0x3F_A000, 0x3F_B000), 8192, MAPPED),
    layout("8m6m", 8 * MIB, (0x20_0000, 0x7F_A000, 0x7F_B000), 8192, MAPPED),
    layout("8m7m", 8 * MIB, (0x10_0000, 0x7F_A000, 0x7F_B000), 8192, MAPPED),
    layout("16m14m", 16 * MIB, (0x20_0000, 0xFF_A000, 0xFF_B000), 8192, MAPPED),
    layout("16m15m", 16 * MIB, (0x10_0000, 0xFF_A000, 0xFF_B000), 8192, MAPPED),
];

impl Esp8266Layout {
    /// The layout of this name: `4m2m`, `1m64`.
    pub fn named(name: &str) -> Option<Self> {
        LAYOUTS.into_iter().find(|layout| layout.name == name)
    }

    /// Every layout, small flash first.
    pub fn all() -> impl Iterator<Item = Self> {
        LAYOUTS.into_iter()
    }

    /// Its name: size of the flash, then that of the filesystem.
    pub fn name(&self) -> &'static str {
        self.name
    }

    /// Bytes of flash.
    pub fn flash(&self) -> u32 {
        self.flash
    }

    /// Where the filesystem lies; empty if there is none. An image of it may be as long, not longer.
    pub fn filesystem(&self) -> Range<u32> {
        self.filesystem_start..self.filesystem_end
    }

    /// Bytes of a block of the filesystem; `None` if there is none.
    pub fn block(&self) -> Option<u16> {
        (self.block > 0).then_some(self.block)
    }

    /// Where the sector starts that the `EEPROM` library keeps its bytes in. Behind it are the four
    /// sectors of Espressif's SDK.
    pub fn eeprom(&self) -> u32 {
        self.eeprom
    }

    /// Bytes of the largest sketch that can be linked.
    pub fn max_sketch(&self) -> u32 {
        self.max_sketch
    }

    /// What a device reports as `free-space` while it runs a sketch of this many bytes.
    pub fn free_space(&self, sketch: u32) -> u32 {
        self.filesystem_start.saturating_sub(sectors(sketch))
    }

    /// Where an update of `length` bytes is staged while a sketch of `sketch` bytes runs.
    pub fn stage(&self, length: u32, sketch: u32) -> Result<Staging, NoRoom> {
        let (needs, free) = (sectors(length), self.free_space(sketch));
        if needs > free {
            return Err(NoRoom { needs, free });
        }
        let end = self.filesystem_start;
        Ok(Staging { start: end.saturating_sub(needs), end })
    }
}

impl Staging {
    /// Whether a gzip that is staged here can be inflated to `length` bytes from the start of the
    /// flash, and never overwrites what eboot has not read yet. eboot itself does not check that.
    pub fn has_room_to_inflate(&self, length: u32) -> bool {
        sectors(length) <= self.start
    }
}

/// `bytes`, rounded up to whole sectors.
fn sectors(bytes: u32) -> u32 {
    bytes.checked_next_multiple_of(SECTOR).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::chip::Family;
    use crate::facts::OtaTarget;
    use crate::gates;

    fn named(name: &str) -> Esp8266Layout {
        Esp8266Layout::named(name).unwrap()
    }

    #[test]
    fn updates_are_staged_right_below_the_filesystem() {
        let check = |name: &str, length, sketch, start: Option<u32>, free| {
            let layout = named(name);
            assert_eq!(layout.free_space(sketch), free);
            let expected = start.map(|start| Staging { start, end: layout.filesystem().start });
            assert_eq!(layout.stage(length, sketch).ok(), expected);
        };
        check("4m2m", 0x6_1234, 0x5_B490, Some(0x19_E000), 1_720_320);
        check("1m64", 480_000, 470_000, Some(0x7_5000), 491_520);
        check("1m64", 500_000, 470_000, None, 491_520);
        check("1m64", 491_520, 470_000, Some(0x7_3000), 491_520);
        check("1m64", 491_521, 470_000, None, 491_520);
        check("1m64", u32::MAX, u32::MAX, None, 0);
        let no_room = NoRoom { needs: 503_808, free: 491_520 };
        assert_eq!(named("1m64").stage(500_000, 470_000), Err(no_room));
    }

    #[test]
    fn a_gzip_must_end_below_its_own_copy() {
        let staging = named("4m3m").stage(300_000, 400_000).unwrap();
        assert_eq!(staging, Staging { start: 745_472, end: MIB });
        assert!(staging.has_room_to_inflate(745_472));
        assert!(!staging.has_room_to_inflate(745_473));
        assert!(!staging.has_room_to_inflate(u32::MAX));
    }

    #[test]
    fn the_parts_of_every_layout_follow_each_other() {
        for layout in Esp8266Layout::all() {
            let Range { start, end } = layout.filesystem();
            let name = layout.name();
            assert!(start <= end && end <= layout.eeprom(), "{name}");
            // EEPROM, then four sectors of the SDK.
            assert_eq!(layout.eeprom() + 5 * SECTOR, layout.flash(), "{name}");
            assert_eq!(layout.block().is_some(), start < end, "{name}");
            if let Some(block) = layout.block() {
                assert_eq!((end - start) % u32::from(block), 0, "{name}");
            }
            // The sketch starts behind 0x1000 and 0x10 bytes of headers.
            assert!(layout.max_sketch() + 0x1010 <= start, "{name}");
            assert_eq!(Esp8266Layout::named(name), Some(layout));
        }
        assert_eq!(Esp8266Layout::named("4m9m"), None);
    }

    proptest! {
        /// What the gates say from a device's report is what the layout says of its flash.
        #[test]
        fn gates_and_layouts_agree_on_room(
            at in 0..LAYOUTS.len(),
            sketch in 1..1_100_000_u32,
            length in 1..1_100_000_u32,
            inflated in proptest::option::of(1..1_100_000_u32),
        ) {
            let layout = LAYOUTS[at];
            let image = gates::Image {
                target: Some(OtaTarget::Sketch),
                chip: None,
                size: length.into(),
                inflated: inflated.map(u64::from),
                flash_size: None,
                flash_mode: None,
                signed: false,
            };
            let device = gates::Device {
                family: Family::Esp8266,
                chip: None,
                asks_for: OtaTarget::Sketch,
                free_space: Some(layout.free_space(sketch).into()),
                sketch_size: Some(sketch.into()),
                chip_size: None,
                filesystem_size: None,
                flash_mode: None,
            };
            let fits = layout.stage(length, sketch).is_ok_and(|staging| {
                inflated.is_none_or(|inflated| staging.has_room_to_inflate(inflated))
            });
            // A sketch that is longer than its place is none that runs.
            prop_assume!(sectors(sketch) <= layout.filesystem().start);
            prop_assert_eq!(gates::room(&image, &device).is_none(), fits);
        }
    }
}
