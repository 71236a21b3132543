//! The flash does what a chip does, refuses what one would do wrongly, and loses its power when told to.

use embedded_storage::nor_flash::{NorFlash, ReadNorFlash};
use updraft_sim::flash::{Cut, Flash, FlashError, SECTOR, Tear};

const SIZE: u32 = 4 * SECTOR;

fn read(flash: &mut Flash, offset: u32, length: usize) -> Result<Vec<u8>, FlashError> {
    let mut bytes = vec![0; length];
    flash.read(offset, &mut bytes).map(|()| bytes)
}

#[test]
fn programming_clears_bits_and_erasing_sets_them() {
    let mut flash = Flash::new(SIZE);
    assert_eq!(flash.capacity(), SIZE as usize);
    assert_eq!(read(&mut flash, 0, 8), Ok(vec![0xFF; 8]));
    flash.write(4, &[0x0F; 4]).unwrap();
    flash.write(4, &[0x05; 4]).unwrap();
    assert_eq!(read(&mut flash, 0, 8).unwrap(), [255, 255, 255, 255, 5, 5, 5, 5]);
    flash.erase(0, SECTOR).unwrap();
    assert_eq!(read(&mut flash, 4, 4), Ok(vec![0xFF; 4]));
    assert_eq!((flash.wear(0), flash.wear(SECTOR)), (1, 0));
    assert_eq!(flash.misuse(), None);
}

#[test]
fn what_a_chip_would_do_wrongly_is_an_error_that_is_remembered() {
    let check = |expected, misuse: fn(&mut Flash) -> Result<(), FlashError>| {
        let mut flash = Flash::new(SIZE);
        flash.write(0, &[0xF0; 8]).unwrap();
        let before = flash.bytes(0..SIZE);
        assert_eq!(misuse(&mut flash), Err(expected));
        assert_eq!(flash.misuse(), Some(expected));
        assert_eq!(flash.bytes(0..SIZE), before);
        // It goes on.
        flash.write(SECTOR, &[0; 4]).unwrap();
        assert_eq!(flash.misuse(), Some(expected));
    };
    check(FlashError::NotErased { offset: 4 }, |flash| flash.write(4, &[0x0F; 4]));
    check(FlashError::NotErased { offset: 0 }, |flash| flash.write(0, &[0xFF; 4]));
    let misaligned = |offset, alignment| FlashError::Misaligned { offset, alignment };
    check(misaligned(9, 4), |flash| flash.write(9, &[0; 4]));
    check(misaligned(15, 4), |flash| flash.write(12, &[0; 3]));
    check(misaligned(2, 4), |flash| flash.read(2, &mut [0; 4]));
    check(misaligned(256, 4096), |flash| flash.erase(256, SECTOR));
    check(misaligned(6000, 4096), |flash| flash.erase(SECTOR, 6000));
    let end = u64::from(SIZE) + 4;
    check(FlashError::OutOfBounds { offset: end }, |flash| flash.write(SIZE - 4, &[0; 8]));
    check(FlashError::OutOfBounds { offset: 4096 }, |flash| flash.erase(SECTOR, 0));
}

#[test]
fn a_write_is_an_operation_for_each_page() {
    let check = |offset, length, expected| {
        let mut flash = Flash::new(SIZE);
        flash.write(offset, &vec![0; length]).unwrap();
        assert_eq!(flash.operations(), expected, "{length} bytes at {offset}");
    };
    check(0, 4, 1);
    check(0, 256, 1);
    check(0, 4096, 16);
    check(252, 8, 2);
    check(252, 260, 2);
    check(4092, 8, 2);
    let mut flash = Flash::new(SIZE);
    flash.erase(0, SIZE).unwrap();
    assert_eq!(flash.operations(), 4);
}

#[test]
fn after_a_cut_nothing_happens_until_there_is_power() {
    for tear in Tear::ALL {
        let mut flash = Flash::new(SIZE);
        flash.plan(Cut { at: 3, tear, seed: 5 });
        assert_eq!(flash.write(0, &[0; 1024]), Err(FlashError::NoPower), "{tear:?}");
        assert_eq!(flash.operations(), 3);
        assert_eq!(read(&mut flash, 0, 4), Err(FlashError::NoPower));
        assert_eq!(flash.write(0, &[0; 4]), Err(FlashError::NoPower));
        assert_eq!(flash.erase(0, SECTOR), Err(FlashError::NoPower));
        assert_eq!(flash.bytes(0..4), Err(FlashError::NoPower));
        assert!(!flash.has_power());
        flash.power_on();
        let bytes = flash.bytes(0..1024).unwrap();
        assert!(bytes[..512].iter().all(|byte| *byte == 0));
        assert!(bytes[768..].iter().all(|byte| *byte == 0xFF));
        assert_eq!(bytes[512..768].iter().all(|byte| *byte == 0), tear == Tear::Behind);
        // Power that goes is no mistake of who writes.
        assert_eq!((flash.misuse(), flash.operations()), (None, 3));
        flash.erase(0, SECTOR).unwrap();
    }
}

#[test]
fn a_torn_erase_leaves_neither() {
    let mut flash = Flash::new(SIZE);
    flash.write(0, &[0x3C; 4096]).unwrap();
    flash.plan(Cut { at: 1, tear: Tear::Bits, seed: 1 });
    assert_eq!(flash.erase(0, 2 * SECTOR), Err(FlashError::NoPower));
    flash.power_on();
    let torn = flash.bytes(0..SECTOR).unwrap();
    assert!(
        torn.iter().any(|byte| byte & 0x3C != 0x3C) && torn.iter().any(|byte| byte & !0x3C != 0)
    );
}

#[test]
fn a_clone_is_another_chip() {
    let mut flash = Flash::new(SIZE);
    flash.write(0, &[1; 4]).unwrap();
    let mut other = flash.clone();
    other.erase(0, SECTOR).unwrap();
    assert_eq!(flash.bytes(0..4), Ok(vec![1; 4]));
    assert_eq!((flash.wear(0), other.wear(0)), (0, 1));
}

#[test]
fn a_file_keeps_the_content_torn_or_not() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("flash.bin");
    let mut flash = Flash::open(&path, SIZE).unwrap();
    flash.write(SECTOR, &[7; 8]).unwrap();
    flash.plan(Cut { at: 1, tear: Tear::Start, seed: 3 });
    assert_eq!(flash.write(0, &[0; 256]), Err(FlashError::NoPower));
    flash.power_on();
    let bytes = flash.bytes(0..SIZE).unwrap();
    drop(flash);
    assert_eq!(std::fs::read(&path).unwrap(), bytes);
    assert_eq!(Flash::open(&path, SIZE).unwrap().bytes(0..SIZE).unwrap(), bytes);
    let other = Flash::open(&path, SIZE + SECTOR).unwrap_err();
    assert_eq!(other.to_string(), "16384 bytes, and the flash has 20480");
}
