//! What a person should know before devices get a file that is right.

use std::fmt;

use updraft_core::FlashMode;

/// Nothing is wrong with the file, but not every device can take it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Note {
    /// An ESP8266 rewrites the flash mode of a sketch, and checks the signature afterwards.
    SignedMode(FlashMode),
    /// Nobody rewrites the flash mode in a gzip.
    GzipMode(FlashMode),
    /// The signature is written behind the filesystem, where there is room for it only if the image
    /// is shorter than its place in the flash.
    FilesystemRoom,
    /// The verifier that comes with the ESP8266 core (`BearSSL::SigningVerifier`) asks for 65 bytes of
    /// signature when its key is P-256, and there are 64.
    Verifier,
}

impl fmt::Display for Note {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::SignedMode(mode) => write!(
                f,
                "only devices that run in flash mode {mode} take it: others rewrite the mode, and \
                 the signature fails (error 12)"
            ),
            Self::GzipMode(mode) => write!(
                f,
                "only for devices that run in flash mode {mode}: nobody rewrites the mode in a \
                 gzip, and others may not start again"
            ),
            Self::FilesystemRoom => {
                f.write_str("a filesystem as long as its place in the flash leaves no room to sign")
            }
            Self::Verifier => f.write_str(
                "the ESP8266 core's own verifier takes no P-256 signature: the sketch needs another",
            ),
        }
    }
}
