//! No answer makes a pull panic, whatever the pieces it comes in, and they make no difference.

#![no_main]

use core::convert::Infallible;

use libfuzzer_sys::fuzz_target;
use updraft_agent::pull::{
    Device, Incoming, Mode, Options, Pull, Redirects, Request, Sink, Step, UpdateError, Url,
};
use updraft_core::{Family, OtaTarget};

fuzz_target!(|data: &[u8]| {
    // One byte for family and mode, one for the size of the pieces, then the answer.
    let [who, size, answer @ ..] = data else { return };
    let family = if who & 1 == 0 { Family::Esp8266 } else { Family::Esp32 };
    let targets = [OtaTarget::Sketch, OtaTarget::Filesystem].map(Mode::Update);
    let mode = [targets[0], targets[1], Mode::Version][usize::from(who >> 1) % 3];
    let whole = ask(family, mode, answer, usize::MAX);
    assert_eq!(ask(family, mode, answer, usize::from(*size) + 1), whole);
});

/// What came out, where a redirect led, and the image.
fn ask(family: Family, mode: Mode, answer: &[u8], size: usize) -> (String, String, Vec<u8>) {
    let device = Device {
        family,
        base_mac: None,
        sta_mac: None,
        ap_mac: None,
        free_space: 1 << 20,
        filesystem_size: Some(1 << 20),
        sketch_size: 400_000,
        sketch_md5: None,
        sketch_sha256: None,
        chip_size: 4 << 20,
        sdk_version: "",
    };
    let url = Url::new("127.0.0.1", 8000, "/ok").unwrap();
    let request = Request { mode, ..Request::new(device, url, OtaTarget::Sketch) };
    let options = Options { redirects: Redirects::Any, ..Options::of(family) };
    let (mut buffer, mut image) = ([0; 256], Image::default());
    let mut pull = Pull::new(&request, options, &mut buffer, &mut image, 0);
    pull.connected(0);
    pull.sent(0);
    for piece in answer.chunks(size) {
        pull.receive(piece, 0);
    }
    let mut next = String::new();
    if matches!(pull.step(), Step::Connect { .. }) {
        pull.write_request(&mut next).unwrap();
        assert!(next.ends_with("\r\n\r\n"));
    }
    let outcome = format!("{:?}", pull.into_outcome());
    (outcome, next, image.bytes)
}

/// An updater that takes everything, and never more than was announced.
#[derive(Debug, Default)]
struct Image {
    size: usize,
    bytes: Vec<u8>,
}

/// An error that cannot be.
#[derive(Debug)]
struct Never(Infallible);

impl UpdateError for Never {
    fn number(&self) -> u8 {
        match self.0 {}
    }
}

impl core::fmt::Display for Never {
    fn fmt(&self, _: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self.0 {}
    }
}

impl Sink for Image {
    type Error = Never;

    fn begin(&mut self, image: &Incoming<'_>) -> Result<(), Never> {
        self.size = image.size as usize;
        Ok(())
    }

    fn write(&mut self, bytes: &[u8]) -> Result<(), Never> {
        self.bytes.extend(bytes);
        assert!(self.bytes.len() <= self.size);
        Ok(())
    }

    fn finish(&mut self) -> Result<(), Never> {
        assert_eq!(self.bytes.len(), self.size);
        Ok(())
    }

    fn abort(&mut self) {
        assert!(self.bytes.len() < self.size);
    }
}
