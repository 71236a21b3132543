//! Where an image goes: the little that a pull needs of an updater.

use updraft_core::OtaTarget;

use super::error::UpdateError;

/// Takes one image, in blocks of any size.
///
/// After `begin` come the bytes of the image, then `finish`; or `abort`, if they do not all come. After
/// an error of its own nothing more is called.
pub trait Sink {
    /// What can go wrong, in the updater's numbers.
    type Error: UpdateError;

    /// An image is coming. The updater that refuses it here has changed nothing.
    fn begin(&mut self, image: &Incoming<'_>) -> Result<(), Self::Error>;

    /// Takes the next bytes; never more in all than `begin` announced.
    fn write(&mut self, bytes: &[u8]) -> Result<(), Self::Error>;

    /// All bytes came. Checks them and hands over to the boot loader; the restart is the caller's.
    fn finish(&mut self) -> Result<(), Self::Error>;

    /// The rest will not come.
    fn abort(&mut self);
}

impl<S: Sink> Sink for &mut S {
    type Error = S::Error;

    fn begin(&mut self, image: &Incoming<'_>) -> Result<(), S::Error> {
        (**self).begin(image)
    }

    fn write(&mut self, bytes: &[u8]) -> Result<(), S::Error> {
        (**self).write(bytes)
    }

    fn finish(&mut self) -> Result<(), S::Error> {
        (**self).finish()
    }

    fn abort(&mut self) {
        (**self).abort();
    }
}

/// What a server says of the image that it sends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Incoming<'a> {
    /// What was asked for.
    pub target: OtaTarget,
    /// Its length in bytes: at least 1, and no more than the device has room for.
    pub size: u32,
    /// MD5 of the bytes that are sent (`x-MD5`). Without it nothing but the image itself can be
    /// checked.
    pub md5: Option<[u8; 16]>,
    /// Its version (`x-version`), if the server says one.
    pub version: Option<&'a str>,
}
