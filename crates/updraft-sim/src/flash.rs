//! NOR flash as it is, and unforgiving: what a chip would do silently wrong is an error here, and the
//! power can be made to go at any operation, in the middle of it too. It knows nothing of what is
//! written.
//!
//! An operation is what a chip does in one go: a sector erased, or a page of 256 bytes programmed. A long
//! write is several. Not imitated: cells that a torn operation leaves undecided, so that they read as
//! something else the next time.

use std::fs::File;
use std::io::{self, ErrorKind, Read as _};
use std::ops::Range;
use std::os::unix::fs::FileExt as _;
use std::path::Path;
use std::sync::Arc;

use embedded_storage::nor_flash::{
    ErrorType, NorFlash, NorFlashError, NorFlashErrorKind, ReadNorFlash,
};

mod torn;

pub use self::torn::Tear;

/// Bytes of a sector, the least that is erased (`SPI_FLASH_SEC_SIZE`, both SDKs).
pub const SECTOR: u32 = 4096;
/// Bytes of a page, the most that is programmed in one go: what SPI flash chips have in common.
const PAGE: u32 = 256;
/// Reads and writes are of whole words, as Espressif's functions ask (`spi_flash_read`).
const WORD: u32 = 4;

type Sector = [u8; SECTOR as usize];

/// A flash chip. A clone is a chip of its own, in memory, with the same content, wear and plans for a
/// cut.
#[derive(Debug)]
pub struct Flash {
    /// Shared between clones until one writes.
    sectors: Vec<Arc<Sector>>,
    /// How often each sector was erased.
    wear: Vec<u32>,
    operations: u64,
    cut: Option<(u64, Cut)>,
    power: Power,
    misuse: Option<FlashError>,
    file: Option<File>,
}

/// When the power is to go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cut {
    /// At which operation from now on: 1 is the next one.
    pub at: u64,
    /// How much of that operation is done.
    pub tear: Tear,
    /// What a torn operation leaves is random, and the same for the same number.
    pub seed: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Power {
    On,
    Off,
}

/// What the flash does not do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FlashError {
    /// There is no power since a cut.
    #[error("the flash has no power")]
    NoPower,
    /// There is no such place.
    #[error("{offset:#x} is past the end of the flash")]
    OutOfBounds {
        /// Where the operation would end.
        offset: u64,
    },
    /// An operation does not start or end where it has to.
    #[error("{offset:#x} is no multiple of {alignment}")]
    Misaligned {
        /// Where it starts or ends.
        offset: u32,
        /// What that should be a multiple of.
        alignment: u32,
    },
    /// A bit that is 0 would have to become 1, which only erasing does.
    #[error("the byte at {offset:#x} is not erased")]
    NotErased {
        /// The first such byte.
        offset: u32,
    },
    /// The file behind the flash fails.
    #[error("the file of the flash: {0}")]
    File(ErrorKind),
}

impl Flash {
    /// An erased chip of `size` bytes, in whole sectors.
    pub fn new(size: u32) -> Self {
        let erased = Arc::new([0xFF; SECTOR as usize]);
        let count = (size / SECTOR) as usize;
        Self {
            sectors: vec![erased; count],
            wear: vec![0; count],
            operations: 0,
            cut: None,
            power: Power::On,
            misuse: None,
            file: None,
        }
    }

    /// A chip of `size` bytes that keeps its content in a file, as it stands in the flash. A file that
    /// is not there is made, erased; one of another length is an error.
    pub fn open(path: &Path, size: u32) -> io::Result<Self> {
        let options = File::options().read(true).write(true).create(true).truncate(false).clone();
        let mut file = options.open(path)?;
        let mut flash = Self::new(size);
        let length = file.metadata()?.len();
        if length == 0 {
            file.set_len(u64::from(flash.size()))?;
            for (sector, at) in flash.sectors.iter().zip((0..).step_by(SECTOR as usize)) {
                file.write_all_at(&sector[..], at)?;
            }
        } else if length == u64::from(flash.size()) {
            for sector in &mut flash.sectors {
                file.read_exact(&mut Arc::make_mut(sector)[..])?;
            }
        } else {
            let why = format!("{length} bytes, and the flash has {size}");
            return Err(io::Error::new(ErrorKind::InvalidData, why));
        }
        flash.file = Some(file);
        Ok(flash)
    }

    /// Bytes of the chip.
    pub fn size(&self) -> u32 {
        u32::try_from(self.sectors.len()).map_or(u32::MAX, |count| count.saturating_mul(SECTOR))
    }

    /// Operations that have begun since the chip was made.
    pub fn operations(&self) -> u64 {
        self.operations
    }

    /// How often the sector at this place was erased.
    pub fn wear(&self, offset: u32) -> u32 {
        self.wear.get((offset / SECTOR) as usize).copied().unwrap_or_default()
    }

    /// The first thing that was asked for and that no chip does, even if whoever asked went on: proof of
    /// a mistake in the code that wrote.
    pub fn misuse(&self) -> Option<FlashError> {
        self.misuse
    }

    /// Plans a power cut.
    pub fn plan(&mut self, cut: Cut) {
        self.cut = Some((self.operations.saturating_add(cut.at), cut));
    }

    /// Takes the power away.
    pub fn power_off(&mut self) {
        self.power = Power::Off;
    }

    /// Gives power; a cut that has not come is forgotten.
    pub fn power_on(&mut self) {
        self.power = Power::On;
        self.cut = None;
    }

    /// Whether it has power.
    pub fn has_power(&self) -> bool {
        self.power == Power::On
    }

    /// Shows the bytes of a range in pieces, in order: to a boot loader, which knows how to ask.
    pub fn visit(&self, range: Range<u64>, mut see: impl FnMut(&[u8])) -> Result<(), FlashError> {
        self.powered()?;
        self.within(range.end)?;
        let mut at = range.start;
        while at < range.end {
            let (sector, inside) = place(at);
            let end = (range.end - at).saturating_add(inside as u64).min(u64::from(SECTOR));
            let end = usize::try_from(end).unwrap_or(SECTOR as usize);
            see(&self.sectors[sector][inside..end]);
            at += (end - inside) as u64;
        }
        Ok(())
    }

    /// Copies `bytes.len()` bytes from anywhere.
    pub fn copy(&self, offset: u64, bytes: &mut [u8]) -> Result<(), FlashError> {
        let mut rest = &mut bytes[..];
        self.visit(offset..offset.saturating_add(rest.len() as u64), |piece| {
            let (now, later) = std::mem::take(&mut rest).split_at_mut(piece.len());
            now.copy_from_slice(piece);
            rest = later;
        })
    }

    /// The bytes of a range.
    pub fn bytes(&self, range: Range<u32>) -> Result<Vec<u8>, FlashError> {
        let mut bytes = Vec::with_capacity(range.len());
        self.visit(range.start.into()..range.end.into(), |piece| bytes.extend_from_slice(piece))?;
        Ok(bytes)
    }

    /// Puts bytes where they are to be, as a programmer on a cable does before the device is ever
    /// started: no operation, no wear. What else is in the sectors stays.
    pub fn put(&mut self, offset: u32, bytes: &[u8]) -> Result<(), FlashError> {
        self.within(u64::from(offset).saturating_add(bytes.len() as u64))?;
        let (mut at, mut rest) = (u64::from(offset), bytes);
        while !rest.is_empty() {
            let (sector, inside) = place(at);
            let (now, later) = rest.split_at(rest.len().min(SECTOR as usize - inside));
            Arc::make_mut(&mut self.sectors[sector])[inside..][..now.len()].copy_from_slice(now);
            self.keep(sector)?;
            at += now.len() as u64;
            rest = later;
        }
        Ok(())
    }

    fn powered(&self) -> Result<(), FlashError> {
        if self.has_power() { Ok(()) } else { Err(FlashError::NoPower) }
    }

    fn within(&self, end: u64) -> Result<(), FlashError> {
        if end > u64::from(self.size()) {
            return Err(FlashError::OutOfBounds { offset: end });
        }
        Ok(())
    }

    /// What is wrong with a range that is asked for, and remembers it.
    fn check(&mut self, start: u32, length: u64, alignment: u32) -> Result<(), FlashError> {
        self.powered()?;
        let end = u64::from(start).saturating_add(length);
        let aligned = |offset: u32| {
            let error = FlashError::Misaligned { offset, alignment };
            if offset.is_multiple_of(alignment) { Ok(()) } else { Err(error) }
        };
        let sound = self
            .within(end)
            .and_then(|()| aligned(start))
            .and_then(|()| aligned(u32::try_from(end).unwrap_or_default()));
        self.remember(sound)
    }

    fn remember(&mut self, sound: Result<(), FlashError>) -> Result<(), FlashError> {
        if let Err(error) = sound {
            self.misuse.get_or_insert(error);
        }
        sound
    }

    /// Begins an operation; gives how it is torn, if the power goes now.
    fn begin(&mut self) -> Result<Option<Cut>, FlashError> {
        self.powered()?;
        self.operations += 1;
        let cut = self.cut.filter(|(at, _)| *at == self.operations).map(|(_, cut)| cut);
        Ok(cut)
    }

    /// Ends an operation on a sector.
    fn end(&mut self, sector: usize, cut: Option<Cut>) -> Result<(), FlashError> {
        self.keep(sector)?;
        if cut.is_some() {
            self.power = Power::Off;
            return Err(FlashError::NoPower);
        }
        Ok(())
    }

    fn keep(&self, sector: usize) -> Result<(), FlashError> {
        let Some(file) = &self.file else { return Ok(()) };
        let at = sector as u64 * u64::from(SECTOR);
        file.write_all_at(&self.sectors[sector][..], at)
            .map_err(|error| FlashError::File(error.kind()))
    }

    fn erase_sector(&mut self, sector: usize) -> Result<(), FlashError> {
        let cut = self.begin()?;
        self.wear[sector] += 1;
        let bytes = Arc::make_mut(&mut self.sectors[sector]);
        match cut {
            Some(cut) => torn::erase(bytes, cut.tear, cut.seed),
            None => bytes.fill(0xFF),
        }
        self.end(sector, cut)
    }

    /// Programs bytes of one page.
    fn program(&mut self, offset: u32, bytes: &[u8]) -> Result<(), FlashError> {
        self.powered()?;
        let (sector, inside) = place(offset.into());
        let old = &self.sectors[sector][inside..][..bytes.len()];
        let lost = old.iter().zip(bytes).zip(offset..).find(|((old, new), _)| *old & *new != **new);
        let sound = lost.map_or(Ok(()), |(_, offset)| Err(FlashError::NotErased { offset }));
        self.remember(sound)?;
        let cut = self.begin()?;
        let cells = &mut Arc::make_mut(&mut self.sectors[sector])[inside..][..bytes.len()];
        match cut {
            Some(cut) => torn::program(cells, bytes, cut.tear, cut.seed),
            None => cells.copy_from_slice(bytes),
        }
        self.end(sector, cut)
    }
}

impl Clone for Flash {
    fn clone(&self) -> Self {
        Self {
            sectors: self.sectors.clone(),
            wear: self.wear.clone(),
            operations: self.operations,
            cut: self.cut,
            power: self.power,
            misuse: self.misuse,
            file: None,
        }
    }
}

impl ErrorType for Flash {
    type Error = FlashError;
}

impl ReadNorFlash for Flash {
    const READ_SIZE: usize = WORD as usize;

    fn read(&mut self, offset: u32, bytes: &mut [u8]) -> Result<(), FlashError> {
        self.check(offset, bytes.len() as u64, WORD)?;
        self.copy(offset.into(), bytes)
    }

    fn capacity(&self) -> usize {
        self.size() as usize
    }
}

impl NorFlash for Flash {
    const WRITE_SIZE: usize = WORD as usize;
    const ERASE_SIZE: usize = SECTOR as usize;

    fn erase(&mut self, from: u32, to: u32) -> Result<(), FlashError> {
        let length = to.checked_sub(from).ok_or(FlashError::OutOfBounds { offset: from.into() });
        self.remember(length.map(drop))?;
        self.check(from, length?.into(), SECTOR)?;
        (from / SECTOR..to / SECTOR).try_for_each(|sector| self.erase_sector(sector as usize))
    }

    fn write(&mut self, offset: u32, bytes: &[u8]) -> Result<(), FlashError> {
        self.check(offset, bytes.len() as u64, WORD)?;
        let (mut at, mut rest) = (offset, bytes);
        while !rest.is_empty() {
            let room = (PAGE - at % PAGE) as usize;
            let (now, later) = rest.split_at(rest.len().min(room));
            self.program(at, now)?;
            at += u32::try_from(now.len()).unwrap_or(PAGE);
            rest = later;
        }
        Ok(())
    }
}

impl NorFlashError for FlashError {
    fn kind(&self) -> NorFlashErrorKind {
        match self {
            Self::OutOfBounds { .. } => NorFlashErrorKind::OutOfBounds,
            Self::Misaligned { .. } => NorFlashErrorKind::NotAligned,
            _ => NorFlashErrorKind::Other,
        }
    }
}

/// In which sector a byte is, and where in it.
fn place(offset: u64) -> (usize, usize) {
    let (sector, inside) = (offset / u64::from(SECTOR), offset % u64::from(SECTOR));
    (usize::try_from(sector).unwrap_or(usize::MAX), usize::try_from(inside).unwrap_or_default())
}
