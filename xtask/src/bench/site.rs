//! What is served: folders of images, made anew for each run by the image builder, and what every
//! server must know of them. It starts no server.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, Result};
use updraft_pack::Esp8266Image;

use super::load::answer::Content;

/// A folder of images.
pub(crate) struct Site {
    pub(crate) folder: PathBuf,
    pub(crate) images: Vec<Image>,
    /// The answer to a request for the folder's list, for servers that do not make one: a file.
    pub(crate) list: PathBuf,
}

/// One of them.
pub(crate) struct Image {
    /// Its name in the folder.
    pub(crate) name: String,
    pub(crate) content: Arc<Content>,
}

/// Devices that every server knows.
pub(crate) const DEVICES: usize = 10_000;

/// Bytes of an image of the downloads.
pub(crate) const LARGE: usize = 1 << 20;
/// Bytes of an image that is only listed.
pub(crate) const SMALL: usize = 32 << 10;

impl Site {
    /// Makes so many images of this size in a new folder.
    pub(crate) fn make(folder: &Path, count: usize, size: usize) -> Result<Self> {
        fs::create_dir(folder).with_context(|| format!("cannot make {}", folder.display()))?;
        let images = (0..count)
            .map(|number| {
                let name = format!("sensor-{number:04}.bin");
                let path = folder.join(&name);
                let image = sketch(size, number as u64)?;
                fs::write(&path, image)
                    .with_context(|| format!("cannot write {}", path.display()))?;
                Ok(Image { name, content: Arc::new(Content::of(&path)?) })
            })
            .collect::<Result<_>>()?;
        Ok(Self { folder: folder.to_owned(), images, list: folder.with_extension("json") })
    }
}

/// A sketch for the ESP8266 of exactly this size, a multiple of 16; another one for each seed.
fn sketch(size: usize, seed: u64) -> Result<Vec<u8>> {
    let frame = Esp8266Image::new().build()?.len();
    Ok(Esp8266Image::new().filler(size - frame, seed).build()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn images_have_the_size_and_differ() {
        let temp = tempfile::tempdir().unwrap();
        let site = Site::make(&temp.path().join("site"), 2, SMALL).unwrap();
        let [first, second] = &site.images[..] else { panic!() };
        assert_eq!(first.content.bytes().len(), SMALL);
        assert_ne!(first.content.md5, second.content.md5);
        assert_eq!(sketch(LARGE, 7).unwrap().len(), LARGE);
    }
}
