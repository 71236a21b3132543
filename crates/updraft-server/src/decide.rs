//! Decides what a device that asks for a catalog file by name gets; `managed` decides which image one
//! gets that leaves the choice to the server. Pure: the check-in, the file and what the device is
//! known to run come in, a decision with its reason goes out. What a device would not take or survive
//! is core's to say.

use std::borrow::Cow;
use std::fmt;

use updraft_core::{OtaTarget, gates};

use crate::catalog::image::{Image, Target};
use crate::check_in::{CheckIn, Mode};

pub(crate) mod managed;

/// The answer to a check-in, with its reason.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Decision {
    /// Send the image.
    Offer(Note),
    /// The device runs it already.
    UpToDate,
    /// Do not send it: the device would refuse it, or not survive it.
    Refuse(Reason),
}

/// What a person should know of an offer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Note {
    /// Nothing.
    None,
    /// The file is not recognised, so nothing speaks for or against it.
    Unrecognised,
    /// The flash mode of the image cannot be rewritten (it is in a gzip, or signed), and which mode the
    /// device runs is not known: should they differ, a gzip can brick it.
    FlashModeUnknown,
    /// The gates are off, and this reason would have held it back.
    GateOff(Reason),
}

/// Why a device does not get a file. `Display` gives the words that the log shows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Reason {
    /// No device could install this file: the words say why.
    NotOta(Box<str>),
    /// This device would not take it, or not survive it.
    Device(gates::Reason),
}

/// What a device is known to run, by a digest it reported.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Running<'a> {
    /// The image.
    pub image: &'a Image,
    /// Byte 2 of its header as it stands in the device's flash; `None` on the ESP32.
    pub flash_mode: Option<u8>,
}

/// What an operator may switch off.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Policy {
    /// Refuse what the device would not survive.
    pub gate: Gate,
    /// Answer 304 to a device that runs the file already.
    pub same: Same,
}

/// Whether known contradictions are refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Gate {
    /// They are.
    Closed,
    /// They are only noted (`--no-gate`).
    Open,
}

/// What a device gets that runs the file already.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Same {
    /// "Not modified".
    NotModified,
    /// The file again (`--resend`).
    Resend,
}

/// Decides on a catalog file that a device asked for by name.
pub(crate) fn decide_file(
    check_in: &CheckIn,
    image: &Image,
    running: Option<Running<'_>>,
    policy: Policy,
) -> Decision {
    if policy.same == Same::NotModified && runs_already(check_in, image) {
        return Decision::UpToDate;
    }
    let (file, device) = (as_file(image), as_device(check_in, running));
    let reason = match &image.target {
        Target::Never(why) => Some(Reason::NotOta(why.clone())),
        _ => gates::contradiction(&file, &device).map(Reason::Device),
    };
    match (reason, policy.gate) {
        (Some(reason), Gate::Closed) => Decision::Refuse(reason),
        (Some(reason), Gate::Open) => Decision::Offer(Note::GateOff(reason)),
        (None, _) if image.target == Target::Unrecognised => Decision::Offer(Note::Unrecognised),
        (None, _) if gates::is_mode_unproven(&file, &device) => {
            Decision::Offer(Note::FlashModeUnknown)
        }
        (None, _) => Decision::Offer(Note::None),
    }
}

/// Whether the digest a device reports is one of this image. A filesystem request carries the
/// sketch's digest, which says nothing of the filesystem; and Tasmota takes a 304 for a success and
/// restarts.
fn runs_already(check_in: &CheckIn, image: &Image) -> bool {
    check_in.mode == Mode::Sketch
        && !check_in.version.as_deref().is_some_and(is_tasmota)
        && image.running_as(check_in).is_some()
}

/// Whether a version is shaped as Tasmota's: `13.4.0(tasmota)`.
pub(crate) fn is_tasmota(version: &str) -> bool {
    version.strip_suffix(')').and_then(|v| v.split_once('(')).is_some_and(|(numbers, name)| {
        !name.is_empty()
            && numbers.contains('.')
            && numbers.split('.').all(|n| !n.is_empty() && n.bytes().all(|b| b.is_ascii_digit()))
    })
}

/// What the gates need of an image that could be installed.
pub(crate) fn as_file(image: &Image) -> gates::Image {
    gates::Image {
        target: match image.target {
            Target::Sketch => Some(OtaTarget::Sketch),
            Target::Filesystem => Some(OtaTarget::Filesystem),
            Target::Unrecognised | Target::Never(_) => None,
        },
        chip: image.chip,
        size: image.size,
        inflated: image.inflated,
        flash_size: image.flash_size,
        flash_mode: image.flash_mode,
        signed: image.signed,
    }
}

/// What the gates need of a device that checks in.
fn as_device(check_in: &CheckIn, running: Option<Running<'_>>) -> gates::Device {
    gates::Device {
        family: check_in.family,
        chip: running.and_then(|running| running.image.chip),
        asks_for: match check_in.mode {
            Mode::Filesystem => OtaTarget::Filesystem,
            Mode::Sketch | Mode::Version => OtaTarget::Sketch,
        },
        free_space: check_in.free_space,
        sketch_size: check_in.sketch_size,
        chip_size: check_in.chip_size,
        filesystem_size: None,
        flash_mode: running.and_then(|running| running.flash_mode),
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotOta(why) => f.write_str(why),
            Self::Device(reason) => reason.fmt(f),
        }
    }
}

impl Decision {
    /// The decision with its reason, in the words that the log shows.
    pub(crate) fn words(&self) -> Cow<'static, str> {
        match self {
            Self::Offer(Note::None) => "sent".into(),
            Self::Offer(Note::Unrecognised) => "sent, though not recognised".into(),
            Self::Offer(Note::FlashModeUnknown) => {
                "sent, though its flash mode could not be compared with the running one".into()
            }
            Self::Offer(Note::GateOff(reason)) => {
                format!("sent with gates off, though {reason}").into()
            }
            Self::UpToDate => "runs it already".into(),
            Self::Refuse(reason) => reason.to_string().into(),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use updraft_core::gates::Reason as Why;
    use updraft_core::{Chip, Family};

    use super::*;
    use crate::check_in::DeviceId;
    use crate::digest::{Digest, Md5};

    const CLOSED: Policy = Policy { gate: Gate::Closed, same: Same::NotModified };

    fn image() -> Image {
        Image {
            kind: "ESP8266 sketch".into(),
            target: Target::Sketch,
            chip: Some(Chip::Esp8266),
            size: 400_000,
            inflated: None,
            flash_size: Some(4 << 20),
            flash_mode: Some(2),
            signed: false,
            version: None,
            md5: Digest([9; 16]),
            sha256: Digest([9; 32]),
            running_md5: (0..4).map(|mode| Digest([mode; 16])).collect(),
            running_sha256: None,
        }
    }

    fn esp32_image(chip: Chip) -> Image {
        Image {
            kind: "ESP32 application".into(),
            chip: Some(chip),
            running_md5: vec![Digest([50; 16])],
            running_sha256: Some(Digest([51; 32])),
            ..image()
        }
    }

    fn device() -> CheckIn {
        CheckIn {
            family: Family::Esp8266,
            device: DeviceId::ChipId(1),
            mode: Mode::Sketch,
            version: Some("1.0.0".into()),
            sketch_md5: Some(Digest([77; 16])),
            sketch_sha256: None,
            sketch_size: Some(400_000),
            free_space: Some(1_695_744),
            chip_size: Some(4 << 20),
        }
    }

    fn esp32() -> CheckIn {
        CheckIn { family: Family::Esp32, free_space: Some(0x14_0000), ..device() }
    }

    fn reason(check_in: &CheckIn, image: &Image) -> Option<Reason> {
        match decide_file(check_in, image, None, CLOSED) {
            Decision::Refuse(reason) => Some(reason),
            _ => None,
        }
    }

    #[test]
    fn a_file_that_fits_is_offered() {
        assert_eq!(decide_file(&device(), &image(), None, CLOSED), Decision::Offer(Note::None));
        let image = esp32_image(Chip::Esp32S3);
        assert_eq!(decide_file(&esp32(), &image, None, CLOSED), Decision::Offer(Note::None));
    }

    #[test]
    fn a_device_that_runs_the_file_in_any_flash_mode_is_up_to_date() {
        for mode in 0..4 {
            let check_in = CheckIn { sketch_md5: Some(Digest([mode; 16])), ..device() };
            assert_eq!(decide_file(&check_in, &image(), None, CLOSED), Decision::UpToDate);
            let resend = Policy { same: Same::Resend, ..CLOSED };
            assert_eq!(decide_file(&check_in, &image(), None, resend), Decision::Offer(Note::None));
        }
    }

    #[test]
    fn on_an_esp32_the_appended_digest_goes_before_the_md5() {
        let image = esp32_image(Chip::Esp32);
        let md5: Option<Md5> = Some(Digest([50; 16]));
        let same = CheckIn { sketch_sha256: Some(Digest([51; 32])), sketch_md5: None, ..esp32() };
        assert_eq!(decide_file(&same, &image, None, CLOSED), Decision::UpToDate);
        let only_md5 = CheckIn { sketch_md5: md5, ..esp32() };
        assert_eq!(decide_file(&only_md5, &image, None, CLOSED), Decision::UpToDate);
        let other = CheckIn { sketch_sha256: Some(Digest([52; 32])), sketch_md5: md5, ..esp32() };
        assert_eq!(decide_file(&other, &image, None, CLOSED), Decision::Offer(Note::None));
    }

    #[test]
    fn tasmota_and_filesystem_requests_are_never_told_that_they_are_up_to_date() {
        let same = CheckIn { sketch_md5: Some(Digest([2; 16])), ..device() };
        let tasmota = CheckIn { version: Some("13.4.0(tasmota)".into()), ..same.clone() };
        assert_eq!(decide_file(&tasmota, &image(), None, CLOSED), Decision::Offer(Note::None));
        let filesystem = Image { target: Target::Filesystem, chip: None, ..image() };
        let check_in = CheckIn { mode: Mode::Filesystem, ..same };
        assert_eq!(decide_file(&check_in, &filesystem, None, CLOSED), Decision::Offer(Note::None));
        for version in ["1.2.3", "(x)", "1.2.3()", "a.b(c)", "1(x)"] {
            assert!(!is_tasmota(version), "{version}");
        }
    }

    #[test]
    fn each_contradiction_has_its_own_reason() {
        let check = |check_in: CheckIn, image: Image, expect: Reason| {
            assert_eq!(reason(&check_in, &image), Some(expect));
        };
        check(esp32(), image(), Reason::Device(Why::Family(Family::Esp8266)));
        check(device(), esp32_image(Chip::Esp32), Reason::Device(Why::Family(Family::Esp32)));
        let boot_loader = Image { target: Target::Never("a boot loader".into()), ..image() };
        check(device(), boot_loader, Reason::NotOta("a boot loader".into()));
        let filesystem = Image { target: Target::Filesystem, chip: None, ..image() };
        check(device(), filesystem.clone(), Reason::Device(Why::FilesystemForSketch));
        let wants_filesystem = CheckIn { mode: Mode::Filesystem, ..device() };
        check(wants_filesystem.clone(), image(), Reason::Device(Why::SketchForFilesystem));
        let unknown_gzip =
            Image { target: Target::Unrecognised, inflated: Some(9), chip: None, ..image() };
        check(wants_filesystem, unknown_gzip.clone(), Reason::Device(Why::GzipForFilesystem));
        check(esp32(), unknown_gzip, Reason::Device(Why::GzipForEsp32));
        let small_chip = CheckIn { chip_size: Some(1 << 20), ..device() };
        check(
            small_chip,
            image(),
            Reason::Device(Why::FlashSize { image: 4 << 20, chip: 1 << 20 }),
        );
        let one_partition = CheckIn { free_space: Some(0), ..esp32() };
        check(one_partition, esp32_image(Chip::Esp32), Reason::Device(Why::NoOtaPartition));
    }

    #[test]
    fn room_is_counted_in_sectors_on_the_esp8266_and_in_bytes_on_the_esp32() {
        let of = |size| Image { size, ..image() };
        let check_in = CheckIn { free_space: Some(491_520), ..device() };
        assert_eq!(reason(&check_in, &of(490_000)), None);
        assert_eq!(reason(&check_in, &of(491_520)), None);
        let too_large = Reason::Device(Why::TooLarge { needs: 495_616, free: 491_520 });
        assert_eq!(reason(&check_in, &of(491_521)), Some(too_large));

        let of = |size| Image { size, ..esp32_image(Chip::Esp32) };
        assert_eq!(reason(&esp32(), &of(0x14_0000)), None);
        let too_large = Reason::Device(Why::TooLarge { needs: 0x14_0001, free: 0x14_0000 });
        assert_eq!(reason(&esp32(), &of(0x14_0001)), Some(too_large));
    }

    #[test]
    fn a_gzip_must_have_room_to_inflate() {
        // 4m3m: one MiB for both. Old sketch 400,000 bytes (401,408 in sectors) leaves 647,168.
        let check_in = CheckIn { free_space: Some(647_168), ..device() };
        let gzip = |inflated| Image { size: 300_000, inflated: Some(inflated), ..image() };
        // Staged at 1,048,576 - 303,104 = 745,472.
        assert_eq!(reason(&check_in, &gzip(745_472)), None);
        assert_eq!(
            reason(&check_in, &gzip(745_473)),
            Some(Reason::Device(Why::NoRoomToInflate { needs: 749_568, start: 745_472 }))
        );
    }

    #[test]
    fn what_the_device_is_known_to_run_says_more() {
        let decide = |image: &Image, running: &Image, flash_mode, check_in: &CheckIn| {
            let running = Running { image: running, flash_mode };
            match decide_file(check_in, image, Some(running), CLOSED) {
                Decision::Refuse(reason) => Some(reason),
                _ => None,
            }
        };
        let (s3, c3) = (esp32_image(Chip::Esp32S3), esp32_image(Chip::Esp32C3));
        let expect = Reason::Device(Why::Chip { image: Chip::Esp32S3, device: Chip::Esp32C3 });
        assert_eq!(decide(&s3, &c3, None, &esp32()), Some(expect));
        let signed = Image { signed: true, ..image() };
        assert_eq!(
            decide(&signed, &image(), Some(0), &device()),
            Some(Reason::Device(Why::SignedMode))
        );
        assert_eq!(decide(&signed, &image(), Some(2), &device()), None);
        let gzip = Image { inflated: Some(400_000), ..image() };
        assert_eq!(
            decide(&gzip, &image(), Some(3), &device()),
            Some(Reason::Device(Why::GzipMode))
        );
        assert_eq!(decide(&image(), &image(), Some(3), &device()), None);
    }

    #[test]
    fn a_flash_mode_that_cannot_be_rewritten_nor_compared_is_noted() {
        let gzip = Image { inflated: Some(400_000), ..image() };
        for image in [gzip, Image { signed: true, ..image() }] {
            assert_eq!(
                decide_file(&device(), &image, None, CLOSED),
                Decision::Offer(Note::FlashModeUnknown)
            );
        }
    }

    #[test]
    fn what_is_not_recognised_is_sent_with_a_note_and_open_gates_tell() {
        let unknown = Image { target: Target::Unrecognised, chip: None, ..image() };
        assert_eq!(
            decide_file(&device(), &unknown, None, CLOSED),
            Decision::Offer(Note::Unrecognised)
        );
        let open = Policy { gate: Gate::Open, ..CLOSED };
        assert_eq!(
            decide_file(&esp32(), &image(), None, open),
            Decision::Offer(Note::GateOff(Reason::Device(Why::Family(Family::Esp8266))))
        );
    }

    prop_compose! {
        fn any_image()(
            target in prop_oneof![
                Just(Target::Sketch), Just(Target::Filesystem), Just(Target::Unrecognised),
                Just(Target::Never("no".into())),
            ],
            chip in prop_oneof![
                Just(None), Just(Some(Chip::Esp8266)), Just(Some(Chip::Esp32)),
                Just(Some(Chip::Esp32C3)),
            ],
            size: u64,
            inflated: Option<u64>,
            flash_size: Option<u32>,
            flash_mode: Option<u8>,
            signed: bool,
        ) -> Image {
            Image { target, chip, size, inflated, flash_size, flash_mode, signed, ..image() }
        }
    }

    prop_compose! {
        fn any_check_in()(
            esp8266: bool,
            mode in prop_oneof![Just(Mode::Sketch), Just(Mode::Filesystem), Just(Mode::Version)],
            digest in 0_u8..8,
            sketch_size: Option<u64>,
            free_space: Option<u64>,
            chip_size: Option<u64>,
        ) -> CheckIn {
            let family = if esp8266 { Family::Esp8266 } else { Family::Esp32 };
            let sketch_md5 = Some(Digest([digest; 16]));
            CheckIn { family, mode, sketch_md5, sketch_size, free_space, chip_size, ..device() }
        }
    }

    proptest! {
        #[test]
        fn whatever_comes_in_no_known_contradiction_is_offered(
            check_in in any_check_in(), image in any_image(), mode: Option<u8>,
        ) {
            let running = Running { image: &image, flash_mode: mode };
            for running in [None, Some(running)] {
                let decision = decide_file(&check_in, &image, running, CLOSED);
                prop_assert_eq!(&decision, &decide_file(&check_in, &image, running, CLOSED));
                if matches!(decision, Decision::Offer(_)) {
                    prop_assert!(!matches!(image.target, Target::Never(_)));
                    prop_assert!(image.family().is_none_or(|family| family == check_in.family));
                    if check_in.mode == Mode::Filesystem {
                        prop_assert!(image.target != Target::Sketch && image.inflated.is_none());
                        continue;
                    }
                    prop_assert!(image.target != Target::Filesystem);
                    prop_assert!(check_in.free_space.is_none_or(|free| image.size <= free));
                    prop_assert!(check_in.family == Family::Esp8266 || image.inflated.is_none());
                    let fits = |(chip, flash): (u64, u32)| u64::from(flash) <= chip;
                    prop_assert!(check_in.chip_size.zip(image.flash_size).is_none_or(fits));
                    // Only then can the byte not be rewritten.
                    if check_in.family == Family::Esp8266 && (image.inflated.is_some() || image.signed) {
                        let running = running.and_then(|r| r.flash_mode);
                        let modes = image.flash_mode.zip(running);
                        prop_assert!(modes.is_none_or(|(image, device)| image == device));
                    }
                }
            }
        }
    }
}
