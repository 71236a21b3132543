//! One update on its way. It knows neither a chip nor an image: the platform does.

use embedded_io::Read;
use embedded_storage::nor_flash::NorFlash;
use updraft_core::OtaTarget;

use super::area::{Area, number};
use super::error::{Cause, UpdateError};
use super::platform::{Place, Platform};
use super::{Progress, Request, Size, Staged, check};

/// An update that has begun. After an error every further call gives that error again; dropping it
/// aborts it.
pub struct Update<'u, 'r, F, P> {
    area: Area<'u, F>,
    platform: &'u P,
    place: Place,
    request: Request<'r>,
    failed: Option<Cause>,
}

impl<'u, 'r, F: NorFlash, P: Platform> Update<'u, 'r, F, P> {
    pub(super) fn new(
        area: Area<'u, F>,
        platform: &'u P,
        place: Place,
        request: Request<'r>,
    ) -> Self {
        let mut update = Self { area, platform, place, request, failed: None };
        update.tell();
        update
    }

    /// Takes the next bytes, any number of them.
    pub fn write(&mut self, bytes: &[u8]) -> Result<(), UpdateError> {
        self.attempt(|update| update.take(bytes))
    }

    /// Takes what comes from `stream`: exactly the bytes that are still missing, or all up to its end
    /// if nobody knows how many there are. A stream decides by itself how long it waits for bytes, and
    /// fails in the end (stock updaters: 60 s on an ESP8266).
    pub fn write_stream<R: Read>(&mut self, stream: &mut R) -> Result<(), UpdateError> {
        self.attempt(|update| update.take_stream(stream))
    }

    /// Ends it: writes what is left, reads all of it back, and checks it.
    ///
    /// Stack: 5 KiB for the look at the image, and those of
    /// [`Verifier::finish`](updraft_core::signature::Verifier::finish) if a signature is asked for.
    pub fn finish(mut self) -> Result<Staged<P::Next>, UpdateError> {
        self.attempt(Self::check)
    }

    /// Ends it without anything new: what ran before starts again. (A filesystem that was written to
    /// is no longer whole.)
    pub fn abort(self) {}

    /// Bytes that were taken.
    pub fn taken(&self) -> u32 {
        self.area.taken()
    }

    /// Bytes that may still come.
    pub fn remaining(&self) -> u32 {
        let all = self.request.size.known().unwrap_or(self.place.room);
        all.saturating_sub(self.taken())
    }

    fn attempt<T>(
        &mut self,
        step: impl FnOnce(&mut Self) -> Result<T, Cause>,
    ) -> Result<T, UpdateError> {
        let result = self.failed.map_or(Ok(()), Err).and_then(|()| step(self));
        self.failed = result.as_ref().err().copied();
        result.map_err(|cause| UpdateError { family: P::FAMILY, cause })
    }

    fn take(&mut self, mut bytes: &[u8]) -> Result<(), Cause> {
        if number(bytes.len()) > self.remaining() {
            return Err(Cause::Space);
        }
        while !bytes.is_empty() {
            let room = self.area.room();
            let (now, later) = bytes.split_at(room.len().min(bytes.len()));
            room.iter_mut().zip(now).for_each(|(to, from)| *to = *from);
            self.took(now.len())?;
            bytes = later;
        }
        Ok(())
    }

    fn take_stream<R: Read>(&mut self, stream: &mut R) -> Result<(), Cause> {
        loop {
            let remaining = usize::try_from(self.remaining()).unwrap_or(usize::MAX);
            match (remaining, self.request.size) {
                (0, Size::Known(_)) => return Ok(()),
                (0, Size::Unknown) => {
                    // Only its end may come now.
                    return match stream.read(&mut [0]) {
                        Ok(0) => Ok(()),
                        Ok(_) => Err(Cause::Space),
                        Err(_) => Err(Cause::Stream),
                    };
                }
                _ => {}
            }
            let room = self.area.room();
            let length = room.len().min(remaining);
            let room = room.get_mut(..length).unwrap_or_default();
            match (stream.read(room), self.request.size) {
                (Ok(0), Size::Unknown) => return Ok(()),
                (Ok(0), Size::Known(_)) | (Err(_), _) => return Err(Cause::Stream),
                (Ok(count), _) => self.took(count.min(length))?,
            }
        }
    }

    /// So many bytes were put into the room.
    fn took(&mut self, count: usize) -> Result<(), Cause> {
        let is_first = self.area.taken() == 0;
        if is_first && self.request.target == OtaTarget::Sketch {
            let first = self.area.room().first().copied();
            if !first.is_some_and(|first| P::MAGIC.contains(&first)) {
                return Err(Cause::Magic);
            }
        }
        let written = self.area.written();
        self.area.took(count)?;
        if self.area.written() > written {
            self.tell();
        }
        Ok(())
    }

    /// Tells those who watch.
    fn tell(&mut self) {
        let (written, total) = (self.area.written(), self.request.size);
        if let Some(progress) = &mut self.request.progress {
            progress(Progress { written, total });
        }
        if let Some(led) = self.request.led.as_mut().filter(|_| written > 0) {
            led.tick();
        }
    }

    fn check(&mut self) -> Result<Staged<P::Next>, Cause> {
        let length = self.taken();
        if length == 0 {
            return Err(Cause::NoData);
        }
        if self.request.size.known().is_some_and(|size| length < size) {
            return Err(Cause::Incomplete);
        }
        if self.area.written() < length {
            self.area.complete()?;
            self.tell();
        }
        let target = self.request.target;
        let inflater = self.request.inflater.take().filter(|_| target == OtaTarget::Sketch);
        let found = check::check(&mut self.area, self.request.trust.as_ref(), inflater)?;
        let calculated = found.facts.md5;
        if let Some(expected) = self.request.md5.filter(|expected| *expected != calculated) {
            return Err(Cause::Md5 { expected, calculated });
        }
        let payload = found.payload?;
        if target == OtaTarget::Filesystem {
            return Ok(Staged { target, length, next: None });
        }
        self.platform.judge(&found.facts, &self.place)?;
        let next = self.platform.next(&self.place, payload);
        self.area.release()?;
        Ok(Staged { target, length, next })
    }
}
