//! Puts what a pull receives into the flash, by the updater. It starts nothing: what it has staged is
//! for [`Boot`](crate::Boot).

use embedded_storage::nor_flash::NorFlash;

use crate::pull::{self, Incoming, Sink};
use crate::updater::{Cause, Platform, Request, Size, Staged, Update, UpdateError, Updater};

/// Installs one image that a [`pull`] brings.
///
/// ```
/// # use embedded_storage::nor_flash::NorFlash;
/// use updraft_agent::pull::{self, Network, Options, Outcome};
/// use updraft_agent::{Boot, Install, OtaBoot, Esp32, Request, Size, Updater};
/// use updraft_core::OtaTarget;
///
/// # fn update<F: NorFlash, N: Network>(
/// #     flash: &mut F, device: Esp32<'_>, network: &mut N, question: &pull::Request<'_>,
/// # ) {
/// let (mut scratch, mut buffer, mut block) = ([0; 4096], [0; 512], [0; 1460]);
/// let mut updater = Updater::new(flash, device, &mut scratch);
/// let mut install = Install::new(&mut updater, Request::new(OtaTarget::Sketch, Size::Unknown));
/// let options = Options::of(question.device.family);
/// let outcome = pull::run(network, question, options, &mut buffer, &mut block, &mut install);
/// if let (Outcome::Updated, Some(staged)) = (outcome, install.into_staged()) {
///     let activated = OtaBoot::new(flash, device).activate(staged);
///     // If that went well, restart.
/// #   let _ = activated;
/// }
/// # }
/// ```
pub struct Install<'u, 'a, 'r, F, P: Platform> {
    state: State<'u, 'a, 'r, F, P>,
}

enum State<'u, 'a, 'r, F, P: Platform> {
    Ready(&'u mut Updater<'a, F, P>, Request<'r>),
    Writing(Update<'u, 'r, F, P>),
    Staged(Staged<P::Next>),
    /// Failed, aborted, or on the way from one state to the next.
    Over,
}

impl<'u, 'a, 'r, F: NorFlash, P: Platform> Install<'u, 'a, 'r, F, P> {
    /// By this updater. Of the request count who is trusted and who watches; target, length and MD5 are
    /// those of the image that comes.
    pub fn new(updater: &'u mut Updater<'a, F, P>, request: Request<'r>) -> Self {
        Self { state: State::Ready(updater, request) }
    }

    /// What was staged; `None` if no image came, or it was not good.
    pub fn into_staged(self) -> Option<Staged<P::Next>> {
        match self.state {
            State::Staged(staged) => Some(staged),
            _ => None,
        }
    }

    fn take(&mut self) -> State<'u, 'a, 'r, F, P> {
        core::mem::replace(&mut self.state, State::Over)
    }
}

/// What comes out of order is a stream that failed.
impl<F: NorFlash, P: Platform> Sink for Install<'_, '_, '_, F, P> {
    type Error = UpdateError;

    fn begin(&mut self, image: &Incoming<'_>) -> Result<(), UpdateError> {
        let State::Ready(updater, request) = self.take() else { return Err(out_of_order::<P>()) };
        let Incoming { target, size, md5, .. } = *image;
        let request = Request { target, size: Size::Known(size), md5, ..request };
        self.state = State::Writing(updater.begin(request)?);
        Ok(())
    }

    fn write(&mut self, bytes: &[u8]) -> Result<(), UpdateError> {
        match &mut self.state {
            State::Writing(update) => update.write(bytes),
            _ => Err(out_of_order::<P>()),
        }
    }

    fn finish(&mut self) -> Result<(), UpdateError> {
        let State::Writing(update) = self.take() else { return Err(out_of_order::<P>()) };
        self.state = State::Staged(update.finish()?);
        Ok(())
    }

    fn abort(&mut self) {
        self.state = State::Over;
    }
}

fn out_of_order<P: Platform>() -> UpdateError {
    UpdateError { family: P::FAMILY, cause: Cause::Stream }
}

impl pull::UpdateError for UpdateError {
    fn number(&self) -> u8 {
        Self::number(self)
    }
}
