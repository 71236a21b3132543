//! Our gzip, judged by gzip and by Python's zlib.

use updraft_pack::{Esp8266Image, Gzip, GzipDefect, compress};

use crate::judges::{Judges, real_sketch};

fn sketch() -> Vec<u8> {
    Esp8266Image::new().filler(2000, 1).build().unwrap()
}

#[test]
fn gzip_and_python_inflate_to_the_sketch() {
    let (judges, sketch) = (Judges::new(), sketch());
    judges.write("sketch.bin.gz", compress(&sketch).unwrap().bytes);
    let output = judges.run("gzip", "-t sketch.bin.gz");
    assert!(output.status.success() && output.stderr.is_empty(), "{output:?}");
    assert_eq!(judges.run("gzip", "-dc sketch.bin.gz").stdout, sketch);
    // 31: a gzip and nothing else. A member, and nothing behind it.
    judges.write(
        "inflate.py",
        "import zlib\n\
         stream = zlib.decompressobj(31)\n\
         data = stream.decompress(open('sketch.bin.gz', 'rb').read())\n\
         assert stream.eof and not stream.unused_data\n\
         open('inflated', 'wb').write(data)\n",
    );
    let output = judges.run("python3", "inflate.py");
    assert!(output.status.success(), "{output:?}");
    assert_eq!(judges.read("inflated"), sketch);
}

#[test]
fn a_real_sketch_gets_smaller_than_by_gzip() {
    let Some(sketch) = real_sketch() else { return };
    let judges = Judges::new();
    let sketch = std::fs::read(sketch).unwrap();
    let compressed = compress(&sketch).unwrap().bytes;
    judges.write("sketch.bin", &sketch);
    let theirs = judges.run("gzip", "-9nc sketch.bin").stdout;
    assert!(compressed.len() < theirs.len(), "{} {}", compressed.len(), theirs.len());
    judges.write("sketch.bin.gz", compressed);
    assert_eq!(judges.run("gzip", "-dc sketch.bin.gz").stdout, sketch);
}

#[test]
fn what_gzip_refuses_is_broken() {
    let (judges, gzip) = (Judges::new(), Gzip::new(&sketch()));
    for defect in [
        GzipDefect::TrailingGarbage(9),
        GzipDefect::SizeZero,
        GzipDefect::SizeTooSmall,
        GzipDefect::SizeTooBig,
        GzipDefect::Crc,
        GzipDefect::ReservedFlag,
        GzipDefect::Method,
        GzipDefect::Zlib,
        GzipDefect::Truncated(30),
        GzipDefect::CutData,
        GzipDefect::DataBit,
    ] {
        judges.write("broken.gz", gzip.broken(defect));
        let output = judges.run("gzip", "-t broken.gz");
        assert!(!output.status.success(), "{defect:?}: {output:?}");
    }
    // A zlib stream is right, only not what a device expects.
    judges.write("zlib", gzip.broken(GzipDefect::Zlib));
    let inflate =
        "import sys, zlib\nsys.stdout.buffer.write(zlib.decompress(open('zlib', 'rb').read()))";
    judges.write("inflate.py", inflate);
    assert_eq!(judges.run("python3", "inflate.py").stdout, sketch());
}
