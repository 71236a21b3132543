//! `updraft image sign`, `updraft image compress` and `updraft keys`: what they make is what OpenSSL,
//! gzip and we ourselves read, and what they refuse leaves every file as it was.

use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::Value;
use tempfile::TempDir;
use updraft_core::{Chip, FilesystemKind};
use updraft_pack::{Esp32Image, Esp8266Defect, Esp8266Image, filesystem};

/// A folder with a sketch, an application, a filesystem and a key.
struct Folder(TempDir);

impl Folder {
    fn new() -> Self {
        let folder = Self(TempDir::new().unwrap());
        let sketch = Esp8266Image::new().filler(900, 1);
        folder.write("door.bin", sketch.build().unwrap());
        folder.write("cut.bin", sketch.defect(Esp8266Defect::Truncated(50)).build().unwrap());
        folder.write("gate.bin", Esp32Image::new(Chip::Esp32).build().unwrap());
        let littlefs = filesystem(FilesystemKind::LittleFs, 4096, 2).unwrap();
        folder.write("littlefs.bin", littlefs);
        let keys = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../testdata/keys");
        folder.write("key.pem", std::fs::read(keys.join("rsa2048.pem")).unwrap());
        folder
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn write(&self, name: &str, bytes: impl AsRef<[u8]>) {
        std::fs::write(self.path(name), bytes).unwrap();
    }

    fn read(&self, name: &str) -> Vec<u8> {
        std::fs::read(self.path(name)).unwrap()
    }

    fn names(&self) -> Vec<String> {
        let entries = std::fs::read_dir(self.0.path()).unwrap();
        let mut names: Vec<_> =
            entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    /// Runs a program in the folder; words are split at spaces.
    fn run(&self, program: &str, words: &str) -> Output {
        let mut command = Command::new(program);
        command.args(words.split_whitespace()).current_dir(self.0.path()).output().unwrap()
    }

    /// Runs `updraft`, which must end well; gives what it says.
    fn updraft(&self, words: &str) -> String {
        let output = self.run(env!("CARGO_BIN_EXE_updraft"), words);
        assert_eq!(output.status.code(), Some(0), "{words}: {output:?}");
        assert_eq!(String::from_utf8_lossy(&output.stderr), "");
        String::from_utf8(output.stdout).unwrap()
    }

    fn json(&self, words: &str) -> Value {
        serde_json::from_str(&self.updraft(&format!("{words} --json"))).unwrap()
    }

    /// Runs `updraft`, which must end with this code and this line, and leave the folder as it is.
    fn refused(&self, words: &str, code: i32, line: &str) {
        let before: Vec<_> =
            self.names().into_iter().map(|name| (self.state(&name), name)).collect();
        let output = self.run(env!("CARGO_BIN_EXE_updraft"), words);
        assert_eq!(output.status.code(), Some(code), "{words}: {output:?}");
        assert_eq!(String::from_utf8_lossy(&output.stdout), "", "{words}");
        assert_eq!(
            String::from_utf8_lossy(&output.stderr),
            format!("updraft: {line}\n"),
            "{words}"
        );
        let after: Vec<_> =
            self.names().into_iter().map(|name| (self.state(&name), name)).collect();
        assert_eq!(before, after, "{words}");
    }

    fn state(&self, name: &str) -> (u64, Vec<u8>) {
        (std::fs::metadata(self.path(name)).unwrap().ino(), self.read(name))
    }

    /// Who may do what with a file.
    fn mode(&self, name: &str) -> u32 {
        std::fs::metadata(self.path(name)).unwrap().permissions().mode() & 0o777
    }

    fn openssl(&self, words: &str) -> Vec<u8> {
        let output = self.run("openssl", words);
        assert!(output.status.success(), "openssl {words}: {output:?}");
        output.stdout
    }
}

/// The whole way of a person: a key, a signed file, and OpenSSL's word for both.
#[test]
fn a_file_signed_with_a_new_key_is_accepted_by_openssl() {
    let folder = Folder::new();
    let kinds = ["rsa-2048", "rsa-3072", "p256"];
    for (kind, name) in kinds.into_iter().zip(["RSA-2048", "RSA-3072", "P-256"]) {
        let key = folder.json(&format!("keys new --type {kind} -o {kind}.pem"));
        assert_eq!(key["private"], format!("{kind}.pem"));
        assert_eq!(key["public"], format!("{kind}.pub.pem"));
        assert_eq!(key["kind"], name);
        folder.openssl(&format!("pkey -in {kind}.pem -check -noout"));
        folder.openssl(&format!("pkey -pubin -in {kind}.pub.pem -outform DER -out spki"));
        let sum = String::from_utf8(folder.openssl("dgst -sha256 -r spki")).unwrap();
        assert_eq!(key["fingerprint"], sum.split_once(' ').unwrap().0);

        let words = format!("image sign gate.bin --key {kind}.pem -o {kind}.bin");
        let signed = folder.json(&words);
        assert_eq!(signed["format"], "arduino-esp32");
        assert_eq!(signed["key"]["kind"], name);
        assert_eq!(signed["key"]["fingerprint"], key["fingerprint"]);
        let (file, image) = (folder.read(&format!("{kind}.bin")), folder.read("gate.bin"));
        assert_eq!(signed["size"], file.len());
        assert_eq!(signed["payload"], image.len());
        let field = file.strip_prefix(&image[..]).unwrap();
        assert_eq!(field.len(), 512);
        let end = field.iter().rposition(|&byte| byte != 0).unwrap() + 1;
        folder.write("signature", &field[..end]);
        let pss = match kind {
            "p256" => "",
            _ => "-sigopt rsa_padding_mode:pss -sigopt rsa_pss_saltlen:max",
        };
        folder.openssl(&format!(
            "dgst -sha256 {pss} -verify {kind}.pub.pem -signature signature gate.bin"
        ));
    }
}

#[test]
fn a_sketch_is_compressed_and_then_signed() {
    let folder = Folder::new();
    let words = "image sign door.bin --key key.pem -o door.signed.bin.gz --compress";
    let signed = folder.json(words);
    let sketch = folder.read("door.bin");
    assert_eq!(signed["format"], "esp8266");
    assert_eq!(signed["plain"], sketch.len());
    let note = signed["notes"][0].as_str().unwrap();
    assert!(note.starts_with("only for devices that run in flash mode DIO"), "{note}");

    let file = folder.read("door.signed.bin.gz");
    let (rest, word) = file.split_at(file.len() - 4);
    assert_eq!(word, 256_u32.to_le_bytes());
    let (zipped, signature) = rest.split_at(rest.len() - 256);
    assert_eq!(signed["payload"], zipped.len());
    folder.write("payload.gz", zipped);
    folder.write("signature", signature);
    folder.openssl("pkey -in key.pem -pubout -out public.pem");
    folder.openssl("dgst -sha256 -verify public.pem -signature signature payload.gz");
    assert_eq!(folder.run("gzip", "-dc payload.gz").stdout, sketch);
    let info: Value =
        serde_json::from_str(&folder.updraft("image info --json door.signed.bin.gz")).unwrap();
    assert_eq!(info[0]["ota"], "sketch");
    assert_eq!(info[0]["signature"], "Arduino ESP8266, 256 bytes");

    // The same gzip as by the command for that alone.
    let compressed = folder.json("image compress door.bin -o door.bin.gz");
    assert_eq!(folder.read("door.bin.gz"), zipped);
    assert_eq!(compressed["form"], "gzip");
    assert_eq!((&compressed["plain"], &compressed["size"]), (&signed["plain"], &signed["payload"]));
}

#[test]
fn the_words_say_what_was_done() {
    let folder = Folder::new();
    let text = folder.updraft("image sign door.bin --key key.pem -o out.bin");
    let shown = folder.json("keys show key.pem");
    let print = shown["fingerprint"].as_str().unwrap();
    let size = folder.read("door.bin").len();
    let expected = format!(
        "out.bin\n  signature     Arduino ESP8266, RSA-2048\n  fingerprint   {print}\n  \
         size          {} bytes, {size} of them signed\n  note          only devices that run in \
         flash mode DIO take it: others rewrite the mode, and the signature fails (error 12)\n",
        size + 260
    );
    assert_eq!(text, expected);

    let text = folder.updraft("image compress door.bin -o out.gz");
    let (plain, zipped) = (size, folder.read("out.gz").len());
    let percent = (plain - zipped) * 100 / plain;
    let saved = format!("gzip, {} of {plain} bytes saved ({percent} %)", plain - zipped);
    assert!(text.starts_with(&format!("out.gz\n  form          {saved}\n")), "{text}");

    let text = folder.updraft("keys show key.pem");
    let expected = format!(
        "private key   key.pem\ntype          RSA-2048\nsignature     256 bytes\nfingerprint   {print}\n"
    );
    assert_eq!(text, expected);
}

#[test]
fn what_no_device_would_take_is_refused() {
    let folder = Folder::new();
    folder.updraft("image sign door.bin --key key.pem -o signed.bin");
    let sign = |words: &str| format!("image sign {words} --key key.pem -o out.bin");
    let cut = "cut.bin: no device would take it: the file ends before the image does";
    folder.refused(&sign("cut.bin"), 1, cut);
    folder.refused("image compress cut.bin -o out.gz", 1, cut);
    let signed = "signed.bin: the file is signed already: Arduino ESP8266, 256 bytes";
    folder.refused(&sign("signed.bin"), 1, signed);
    let first =
        "signed.bin: the file is signed (Arduino ESP8266, 256 bytes): compress first, then sign";
    folder.refused("image compress signed.bin -o out.gz", 1, first);
    folder.refused(
        &sign("gate.bin --format esp8266"),
        1,
        "gate.bin: the image is for the esp32, which knows no Arduino ESP8266 signature",
    );
    let inflates = "gate.bin: no device inflates this: ESP32 application, not an ESP8266 sketch";
    folder.refused(&sign("gate.bin --compress"), 1, inflates);
    folder.refused("image compress gate.bin -o out.gz", 1, inflates);
    let full = "littlefs.bin: a filesystem for an ESP32 cannot be signed: it fills its partition";
    folder.refused(&sign("littlefs.bin --format arduino-esp32"), 1, full);
    let family = "littlefs.bin: the file does not say which devices it is for: --format says it";
    folder.refused(&sign("littlefs.bin"), 2, family);
    folder.updraft(&sign("littlefs.bin --format esp8266"));
}

#[test]
fn nothing_is_overwritten_unless_asked_for() {
    let folder = Folder::new();
    folder.write("out.bin", "something");
    let sign = "image sign door.bin --key key.pem -o";
    let exists = "out.bin exists already: --force lets the new one take its place";
    folder.refused(&format!("{sign} out.bin"), 2, exists);
    folder.refused("image compress door.bin -o out.bin", 2, exists);
    for place in ["door.bin", "key.pem"] {
        let line = format!("the output would take the place of {place}: -o names another file");
        folder.refused(&format!("{sign} {place} --force"), 2, &line);
    }
    std::fs::hard_link(folder.path("door.bin"), folder.path("link.bin")).unwrap();
    folder.refused(
        "image compress door.bin -o link.bin --force",
        2,
        "the output would take the place of door.bin: -o names another file",
    );
    folder.updraft(&format!("{sign} out.bin --force"));
    assert!(folder.read("out.bin").starts_with(&folder.read("door.bin")));
    // As any file that is made here, whatever the umask: open to others as far as others are.
    assert_eq!(folder.mode("out.bin"), folder.mode("door.bin"));
    let socket = UnixListener::bind(folder.path("socket")).unwrap();
    let device = folder.run(env!("CARGO_BIN_EXE_updraft"), &format!("{sign} socket --force"));
    assert_eq!(device.status.code(), Some(2));
    let line = "updraft: socket exists already, and is no file\n";
    assert_eq!(String::from_utf8_lossy(&device.stderr), line);
    drop(socket);
    std::fs::remove_file(folder.path("socket")).unwrap();
    let missing = "cannot write no/out.bin: No such file or directory (os error 2)";
    folder.refused(&format!("{sign} no/out.bin"), 2, missing);
}

#[test]
fn a_private_key_is_for_its_owner_alone_and_replaces_nothing() {
    let folder = Folder::new();
    folder.updraft("keys new --type p256 -o fleet.pem --public fleet.txt");
    assert_eq!(folder.mode("fleet.pem"), 0o600);
    assert_eq!(folder.mode("fleet.txt"), folder.mode("door.bin"));
    let exists = |name: &str| format!("{name} exists already");
    folder.refused("keys new --type p256 -o fleet.pem", 2, &exists("fleet.pem"));
    folder.refused("keys new --type p256 -o other.pem --public fleet.txt", 2, &exists("fleet.txt"));
    let two = "the two halves of the key need two files";
    folder.refused("keys new --type p256 -o one.pem --public one.pem", 2, two);

    let [private, public] =
        ["fleet.pem", "fleet.txt"].map(|name| folder.json(&format!("keys show {name}")));
    assert_eq!(private["private"], "fleet.pem");
    assert_eq!(public["public"], "fleet.txt");
    assert_eq!(private["fingerprint"], public["fingerprint"]);
    assert_eq!(private["signature"], 64);
}

#[test]
fn keys_that_cannot_sign_are_named() {
    let folder = Folder::new();
    folder.openssl("genrsa -out small.pem 1024");
    folder.openssl("ecparam -name secp384r1 -genkey -noout -out p384.pem");
    folder.openssl("pkey -in key.pem -pubout -out public.pem");
    folder.openssl("pkey -in key.pem -aes256 -passout pass:secret -out secret.pem");
    folder.openssl("pkey -in key.pem -outform DER -out key.der");
    let check = |key: &str, line: &str| {
        let words = format!("image sign door.bin --key {key} -o out.bin");
        folder.refused(&words, 2, &format!("{key}: {line}"));
    };
    let small = "an RSA key of 1024 bits; 2048, 3072 and 4096 are supported";
    check("small.pem", small);
    check("p384.pem", "a key on the curve P-384; of curves P-256 is supported");
    check("public.pem", "this is a public key: signing takes the private one");
    let encrypted = "the private key is encrypted: `openssl pkey -in FILE -out PLAIN` takes the \
        passphrase off";
    check("secret.pem", encrypted);
    let none =
        "no key in PEM, the form whose first line is -----BEGIN PRIVATE (or PUBLIC) KEY-----";
    check("key.der", none);
    check("door.bin", none);
    folder.refused(
        "image sign door.bin --key none.pem -o out.bin",
        2,
        "cannot read none.pem: No such file or directory (os error 2)",
    );
    folder.refused("keys show small.pem", 2, &format!("small.pem: {small}"));
}
