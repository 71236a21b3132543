//! Why an image cannot be built.

use updraft_core::Chip;

/// A setting that no image of this kind can have.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum BuildError {
    /// The header has no code for this flash size.
    #[error("no {chip} image can name a flash of {bytes} bytes")]
    FlashSize {
        /// The chip of the image.
        chip: Chip,
        /// The size asked for.
        bytes: u32,
    },
    /// The header has no code for this flash clock.
    #[error("no {chip} image can name a flash clock of {mhz} MHz")]
    FlashFrequency {
        /// The chip of the image.
        chip: Chip,
        /// The clock asked for.
        mhz: u8,
    },
    /// A text does not fit into its field of the application descriptor.
    #[error("the {field} is {length} bytes long, its field has {max}")]
    TextTooLong {
        /// Which field.
        field: &'static str,
        /// Length of the text in bytes.
        length: usize,
        /// Length of the field in bytes.
        max: usize,
    },
    /// The image would be longer than its format can say.
    #[error("the image is too long: {length} bytes, at most {max}")]
    TooLong {
        /// Length in bytes.
        length: usize,
        /// Most that is possible.
        max: usize,
    },
    /// No filesystem has such blocks.
    #[error("no filesystem has {count} blocks of {block} bytes")]
    Blocks {
        /// Bytes of a block.
        block: usize,
        /// How many.
        count: usize,
    },
    /// An image of the ESP32 family was asked for another chip.
    #[error("{0} is not a chip of the ESP32 family that can be built for")]
    NotEsp32(Chip),
}
