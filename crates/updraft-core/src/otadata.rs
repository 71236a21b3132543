//! ESP-IDF's otadata: which application starts next. Read, decided upon as the boot loader does, and
//! written. It never looks at the applications themselves.

use core::fmt;

use crc::{CRC_32_ISO_HDLC, Crc, NoTable};

use crate::partition::{AppKind, PartitionTable};
use crate::window::word;

/// Length of an entry (`esp_ota_select_entry_t`, ESP-IDF `esp_flash_partitions.h`).
const ENTRY: usize = 32;
/// Length of a flash sector: each of the two entries is at the start of one.
const SECTOR: usize = 0x1000;

/// The CRC of an entry, over its sequence number alone: CRC-32 as everywhere, but for a start with
/// zero (`esp_rom_crc32_le(UINT32_MAX, ...)`).
const CRC: Crc<u32, NoTable> = {
    static ALGORITHM: crc::Algorithm<u32> = crc::Algorithm { init: 0, ..CRC_32_ISO_HDLC };
    Crc::<u32, NoTable>::new(&ALGORITHM)
};

/// What stands in the two sectors of an otadata partition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OtaData {
    /// What each sector starts with.
    pub sectors: [OtaSector; 2],
}

/// What a sector of otadata starts with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OtaSector {
    /// Nothing, or nothing that counts: its sequence number is FFFFFFFF.
    Empty,
    /// An entry with the right CRC.
    Entry(OtaEntry),
    /// Something whose CRC is not that of its sequence number.
    Damaged {
        /// The sequence number that it names.
        sequence: u32,
        /// The CRC that it names.
        crc: u32,
    },
}

/// One entry of otadata.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OtaEntry {
    /// Counts the updates; the greater one of two entries says what starts.
    pub sequence: u32,
    /// A field that nobody reads: FF.
    pub label: [u8; 20],
    /// How far the application has come.
    pub state: OtaState,
}

/// How far a new application has come (`esp_ota_img_states_t`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum OtaState {
    /// Written, never started.
    New,
    /// Started, and it has not said that it works: the next start goes back.
    PendingVerify,
    /// It has said that it works.
    Valid,
    /// It has said that it does not work.
    Invalid,
    /// It was started, and never said that it works.
    Aborted,
    /// Nobody asks: a boot loader without rollback.
    Undefined,
    /// A code that no document names.
    Other(u32),
}

/// An entry that makes a slot start, and where it has to be written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OtaWrite {
    /// The sector to erase and write: 0 or 1. The other one stays as it is.
    pub sector: u8,
    /// What to write at its start.
    pub entry: OtaEntry,
}

impl OtaData {
    /// Length in bytes of an otadata partition.
    pub const LENGTH: usize = 2 * SECTOR;
    /// Nothing in it, as before the first update.
    pub const ERASED: Self = Self { sectors: [OtaSector::Empty; 2] };

    /// Reads the two entries, from the starts of their sectors.
    pub fn new(first: &[u8; ENTRY], second: &[u8; ENTRY]) -> Self {
        Self { sectors: [OtaSector::from_bytes(first), OtaSector::from_bytes(second)] }
    }

    /// Reads a copy of the partition; `None` if it is too short for two entries.
    pub fn parse(bytes: &[u8]) -> Option<Self> {
        Some(Self::new(bytes.first_chunk()?, bytes.get(SECTOR..)?.first_chunk()?))
    }

    /// The entry that counts, with its sector: of those that may start the one with the greater
    /// sequence number, of equal ones the first (`bootloader_common_select_otadata`).
    pub fn active(&self) -> Option<(u8, OtaEntry)> {
        let [first, second] = self.sectors.map(|sector| sector.entry().filter(OtaEntry::may_start));
        match (first, second) {
            (Some(first), Some(second)) if second.sequence > first.sequence => Some((1, second)),
            (Some(first), _) => Some((0, first)),
            (None, second) => second.map(|second| (1, second)),
        }
    }

    /// What a boot loader tries to start first: the slot of the entry that counts, else the factory
    /// application, else slot 0. `None` if the table has none of them.
    pub fn starts(&self, table: &PartitionTable) -> Option<AppKind> {
        let slots = slots(table);
        match self.active() {
            Some((_, entry)) if slots > 0 => Some(AppKind::Ota(entry.slot(slots))),
            _ if table.factory().is_some() => Some(AppKind::Factory),
            _ => (slots > 0).then_some(AppKind::Ota(0)),
        }
    }

    /// What to write so that `slot` of a table starts next, with `state`: into the sector that does
    /// not count now, the smallest sequence number that is greater and leads to the slot. `None` if
    /// the table has no such slot, or the numbers are used up.
    pub fn select(&self, slot: u8, table: &PartitionTable, state: OtaState) -> Option<OtaWrite> {
        let slots = u32::from(slots(table));
        let wanted = u32::from(slot);
        if wanted >= slots {
            return None;
        }
        let (sector, sequence) = match self.active() {
            None => (0, wanted.checked_add(1)?),
            Some((sector, current)) => {
                // The slot of a number is the number less one, modulo the slots.
                let next = current.sequence % slots;
                let ahead = wanted.checked_add(slots)?.checked_sub(next)? % slots;
                (1 - sector, current.sequence.checked_add(1)?.checked_add(ahead)?)
            }
        };
        let entry = OtaEntry::new(sequence, state);
        (sequence != u32::MAX).then_some(OtaWrite { sector, entry })
    }
}

/// How many slots a boot loader counts.
fn slots(table: &PartitionTable) -> u8 {
    u8::try_from(table.slots().count()).unwrap_or(u8::MAX)
}

impl OtaSector {
    /// Reads what a sector starts with.
    pub fn from_bytes(bytes: &[u8; ENTRY]) -> Self {
        let number = |offset| word(bytes, offset).unwrap_or_default();
        let (sequence, state, crc) = (number(0), number(24), number(28));
        if sequence == u32::MAX {
            return Self::Empty;
        }
        if crc != checksum(sequence) {
            return Self::Damaged { sequence, crc };
        }
        let label = bytes.get(4..).and_then(|label| label.first_chunk()).copied();
        Self::Entry(OtaEntry {
            sequence,
            label: label.unwrap_or_default(),
            state: OtaState::from_code(state),
        })
    }

    /// The entry, if one with the right CRC is there.
    pub fn entry(self) -> Option<OtaEntry> {
        match self {
            Self::Entry(entry) => Some(entry),
            Self::Empty | Self::Damaged { .. } => None,
        }
    }
}

impl OtaEntry {
    /// An entry as the chips write it. A sequence number of FFFFFFFF reads as none.
    pub fn new(sequence: u32, state: OtaState) -> Self {
        Self { sequence, label: [0xFF; 20], state }
    }

    /// The entry as it stands at the start of its sector.
    pub fn to_bytes(&self) -> [u8; ENTRY] {
        let mut bytes = [0; ENTRY];
        let fields = [
            &self.sequence.to_le_bytes()[..],
            &self.label,
            &self.state.code().to_le_bytes(),
            &checksum(self.sequence).to_le_bytes(),
        ];
        bytes.iter_mut().zip(fields.into_iter().flatten()).for_each(|(to, from)| *to = *from);
        bytes
    }

    /// Whether its application may be started.
    pub fn may_start(&self) -> bool {
        !matches!(self.state, OtaState::Invalid | OtaState::Aborted)
    }

    /// The slot that it starts, of so many.
    pub fn slot(&self, slots: u8) -> u8 {
        let slot = self.sequence.wrapping_sub(1).checked_rem(u32::from(slots));
        slot.and_then(|slot| u8::try_from(slot).ok()).unwrap_or_default()
    }
}

impl OtaState {
    /// The state that this code means.
    pub fn from_code(code: u32) -> Self {
        match code {
            0 => Self::New,
            1 => Self::PendingVerify,
            2 => Self::Valid,
            3 => Self::Invalid,
            4 => Self::Aborted,
            u32::MAX => Self::Undefined,
            other => Self::Other(other),
        }
    }

    /// The code of this state.
    pub fn code(self) -> u32 {
        match self {
            Self::New => 0,
            Self::PendingVerify => 1,
            Self::Valid => 2,
            Self::Invalid => 3,
            Self::Aborted => 4,
            Self::Undefined => u32::MAX,
            Self::Other(code) => code,
        }
    }
}

fn checksum(sequence: u32) -> u32 {
    CRC.checksum(&sequence.to_le_bytes())
}

impl fmt::Display for OtaState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::New => "new",
            Self::PendingVerify => "pending verify",
            Self::Valid => "valid",
            Self::Invalid => "invalid",
            Self::Aborted => "aborted",
            Self::Undefined => "undefined",
            Self::Other(code) => return write!(f, "unassigned ({code:#x})"),
        })
    }
}

impl fmt::Display for OtaSector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Empty => f.write_str("empty"),
            Self::Entry(OtaEntry { sequence, state, .. }) => {
                write!(f, "sequence {sequence}, {state}")
            }
            Self::Damaged { sequence, .. } => write!(f, "sequence {sequence}, CRC wrong"),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const EMPTY: [u8; 32] = [0xFF; 32];

    fn entry(sequence: u32, state: OtaState) -> [u8; 32] {
        OtaEntry::new(sequence, state).to_bytes()
    }

    fn table(name: &str) -> PartitionTable {
        PartitionTable::standard(name).unwrap()
    }

    #[test]
    fn the_crc_is_that_of_the_chips() {
        for (sequence, crc) in [
            (1, 0x4743_989A),
            (2, 0x55F6_3774),
            (3, 0xED4A_5011),
            (4, 0x709D_68A8),
            (5, 0xC821_0FCD),
            (6, 0xDA94_A023),
            (7, 0x6228_C746),
            (8, 0x3A4B_D710),
            (16, 0xAFE6_A860),
        ] {
            assert_eq!(checksum(sequence), crc, "{sequence}");
        }
        let mut first = EMPTY;
        first[..4].copy_from_slice(&[1, 0, 0, 0]);
        first[28..].copy_from_slice(&[0x9A, 0x98, 0x43, 0x47]);
        assert_eq!(entry(1, OtaState::Undefined), first);
    }

    #[test]
    fn the_greater_sequence_number_that_may_start_counts() {
        use OtaState::{Aborted, Invalid, New, Other, PendingVerify, Undefined, Valid};
        let check = |first: [u8; 32], second: [u8; 32], starts, expected: Option<u8>| {
            let data = OtaData::new(&first, &second);
            assert_eq!(data.active().map(|(sector, _)| sector), expected);
            assert_eq!(data.starts(&table("default")), Some(AppKind::Ota(starts)));
        };
        check(EMPTY, EMPTY, 0, None);
        check(entry(1, Undefined), EMPTY, 0, Some(0));
        check(entry(1, Valid), entry(2, New), 1, Some(1));
        check(entry(3, Valid), entry(2, Valid), 0, Some(0));
        check(entry(3, Aborted), entry(2, Valid), 1, Some(1));
        check(entry(3, Invalid), entry(2, PendingVerify), 1, Some(1));
        check(entry(3, Invalid), entry(4, Aborted), 0, None);
        check(entry(2, Other(9)), entry(2, Valid), 1, Some(0));
        let mut damaged = entry(4, Valid);
        damaged[0] = 5;
        check(entry(3, Valid), damaged, 0, Some(0));
        assert_eq!(
            OtaSector::from_bytes(&damaged),
            OtaSector::Damaged { sequence: 5, crc: 0x709D_68A8 }
        );
    }

    #[test]
    fn without_an_entry_the_factory_application_starts_if_there_is_one() {
        let none = OtaData::new(&EMPTY, &EMPTY);
        assert_eq!(none.starts(&table("max_app_8MB")), Some(AppKind::Factory));
        assert_eq!(none.starts(&table("huge_app")), Some(AppKind::Ota(0)));
        assert_eq!(none.starts(&PartitionTable::default()), None);
        let some = OtaData::new(&entry(7, OtaState::Valid), &EMPTY);
        assert_eq!(some.starts(&table("max_app_8MB")), Some(AppKind::Factory));
        assert_eq!(some.starts(&table("huge_app")), Some(AppKind::Ota(0)));
    }

    #[test]
    fn a_copy_of_the_partition_is_read_at_its_two_sectors() {
        let mut dump = [0xFF; OtaData::LENGTH];
        dump[0x1000..0x1020].copy_from_slice(&entry(2, OtaState::Valid));
        let data = OtaData::parse(&dump).unwrap();
        assert_eq!(data.active(), Some((1, OtaEntry::new(2, OtaState::Valid))));
        assert_eq!(OtaData::parse(&dump[..0x101F]), None);
    }

    #[test]
    fn the_next_entry_goes_to_the_other_sector_with_the_smallest_number_that_fits() {
        let check = |first: [u8; 32], second: [u8; 32], slot, expected| {
            let data = OtaData::new(&first, &second);
            let write = data.select(slot, &table("default"), OtaState::New);
            assert_eq!(write.map(|write| (write.sector, write.entry.sequence)), expected);
        };
        let valid = |sequence| entry(sequence, OtaState::Valid);
        check(EMPTY, EMPTY, 0, Some((0, 1)));
        check(EMPTY, EMPTY, 1, Some((0, 2)));
        check(EMPTY, EMPTY, 2, None);
        check(valid(1), EMPTY, 1, Some((1, 2)));
        check(valid(1), EMPTY, 0, Some((1, 3)));
        check(valid(1), valid(2), 0, Some((0, 3)));
        check(valid(1), entry(2, OtaState::Aborted), 1, Some((1, 2)));
        check(valid(u32::MAX - 1), EMPTY, 0, None);
        check(valid(u32::MAX - 2), EMPTY, 1, Some((1, u32::MAX - 1)));
    }

    proptest! {
        #[test]
        fn what_is_selected_starts(
            sequences: [u32; 2], states in prop::array::uniform2(0_u32..6), slot in 0_u8..2,
        ) {
            let sector = |i: usize| entry(sequences[i], OtaState::from_code(states[i]));
            let mut entries = [sector(0), sector(1)];
            let data = OtaData::new(&entries[0], &entries[1]);
            let table = table("default");
            if let Some(write) = data.select(slot, &table, OtaState::New) {
                entries[usize::from(write.sector)] = write.entry.to_bytes();
                let data = OtaData::new(&entries[0], &entries[1]);
                prop_assert_eq!(data.active(), Some((write.sector, write.entry)));
                prop_assert_eq!(data.starts(&table), Some(AppKind::Ota(slot)));
            } else {
                prop_assert!(data.active().unwrap().1.sequence >= u32::MAX - 2);
            }
        }

        #[test]
        fn an_entry_is_read_as_it_was_written(bytes: [u8; 32]) {
            if let OtaSector::Entry(entry) = OtaSector::from_bytes(&bytes) {
                prop_assert_eq!(entry.to_bytes(), bytes);
            }
            let sequence = u32::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]);
            let state = OtaState::from_code(u32::from(bytes[4]));
            let entry = OtaEntry { sequence, label: [bytes[5]; 20], state };
            let sector = OtaSector::from_bytes(&entry.to_bytes());
            prop_assert_eq!(sector.entry(), (sequence != u32::MAX).then_some(entry));
        }
    }
}
