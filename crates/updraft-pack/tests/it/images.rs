//! Images, signed and not, as esptool reads them. (What it says of each field is compared with what
//! we say in the tests of `updraft image info`.)

use getrandom::SysRng;
use updraft_core::Chip;
use updraft_core::signature::KeyKind;
use updraft_pack::{Esp32Image, Esp8266Image, Format, esp32_boot_loader, sign};

use crate::judges::{Judges, espressif, key};

#[test]
fn esptool_finds_nothing_wrong_with_images_for_any_chip() {
    let Some(esptool) = espressif("esptool") else { return };
    let judges = Judges::new();
    let check = |name: &str, image: &[u8]| {
        judges.write(name, image);
        let output = judges.run(&esptool, &format!("image-info {name}"));
        let text = String::from_utf8(output.stdout).unwrap();
        assert!(output.status.success(), "{name}: {text}");
        assert!(text.contains("(valid)") && !text.contains("invalid"), "{name}: {text}");
    };
    for chip in Chip::all().filter(|chip| chip.id().is_some()) {
        let app = Esp32Image::new(chip).filler(900, 1).code(&[5; 40]).build().unwrap();
        check(&format!("{chip}.bin"), &app);
    }
    check("boot_loader.bin", &esp32_boot_loader(Chip::Esp32).unwrap());
    let app = Esp32Image::new(Chip::Esp32S3).build().unwrap();
    let signed = sign(&app, &key(KeyKind::P256), Format::ArduinoEsp32, &mut SysRng).unwrap();
    check("signed.bin", &signed.bytes);
    check("sdk.bin", &Esp8266Image::new().filler(900, 1).build_for_sdk().unwrap());
    // It reads the image at the start; so it is given the application alone.
    let sketch = Esp8266Image::new().filler(900, 1).without_crc().build().unwrap();
    check("esp8266.bin", &sketch[0x1000..]);
}
