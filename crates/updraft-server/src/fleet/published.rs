//! Everything that is published and every image that is known, as decisions look it up: in memory, made
//! anew when something of it changes. Devices and attempts are not here.

use std::collections::{BTreeMap, HashMap};

use updraft_core::Chip;

use crate::check_in::CheckIn;
use crate::digest::Sha256;

use super::{
    Channel, ChannelName, Part, Product, ProductName, Release, ReleaseImage, ReleaseKey,
    RunningDigest, SketchDigest, StoredImage, Version,
};

/// Products with what is in them, and images with their digests.
#[derive(Clone, Debug, Default)]
pub(crate) struct Published {
    lines: BTreeMap<ProductName, Line>,
    images: HashMap<Sha256, StoredImage>,
    digests: HashMap<SketchDigest, Vec<RunningDigest>>,
}

/// A product with its channels and releases.
#[derive(Clone, Debug)]
pub(crate) struct Line {
    /// The product.
    pub product: Product,
    /// Its channels.
    pub channels: BTreeMap<ChannelName, Channel>,
    /// Its releases, in the order in which they were published.
    pub editions: BTreeMap<ReleaseKey, Edition>,
    /// The newest release that has a sketch.
    newest: HashMap<Sha256, ReleaseKey>,
}

/// A release with its images.
#[derive(Clone, Debug)]
pub(crate) struct Edition {
    /// The release.
    pub release: Release,
    /// Its version, read.
    pub version: Version,
    /// Its images.
    pub images: Vec<ReleaseImage>,
}

/// What it is all made from.
#[derive(Clone, Debug, Default)]
pub(crate) struct PublishedRows {
    /// Every product.
    pub products: Vec<Product>,
    /// Every channel.
    pub channels: Vec<Channel>,
    /// Every release.
    pub releases: Vec<Release>,
    /// What is in them.
    pub release_images: Vec<ReleaseImage>,
    /// Every image that is known.
    pub images: Vec<StoredImage>,
    /// What devices report while they run them; what the images' own facts say is added.
    pub digests: Vec<RunningDigest>,
}

impl Published {
    /// Puts rows together. What belongs to nothing is left out.
    pub(crate) fn new(rows: PublishedRows) -> Self {
        let mut published = Self::default();
        for product in rows.products {
            let line = Line {
                product,
                channels: BTreeMap::new(),
                editions: BTreeMap::new(),
                newest: HashMap::new(),
            };
            published.lines.insert(line.product.name.clone(), line);
        }
        for channel in rows.channels {
            if let Some(line) = published.lines.get_mut(&channel.product) {
                line.channels.insert(channel.name.clone(), channel);
            }
        }
        let mut contents: HashMap<ReleaseKey, Vec<ReleaseImage>> = HashMap::new();
        for image in rows.release_images {
            contents.entry(image.release).or_default().push(image);
        }
        for release in rows.releases {
            if let Some(line) = published.lines.get_mut(&release.product) {
                let version = Version::read(&release.version, release.product.as_str());
                let images = contents.remove(&release.key).unwrap_or_default();
                let edition = Edition { release, version, images };
                for image in edition.images(Part::Sketch) {
                    let newest = line.newest.entry(image.image).or_insert(image.release);
                    *newest = image.release.max(*newest);
                }
                line.editions.insert(edition.release.key, edition);
            }
        }
        let own = rows.images.iter().flat_map(|stored| RunningDigest::all(&stored.image));
        for row in own.chain(rows.digests) {
            let same = published.digests.entry(row.digest).or_default();
            if !same.contains(&row) {
                same.push(row);
            }
        }
        published.images =
            rows.images.into_iter().map(|stored| (stored.image.sha256, stored)).collect();
        published
    }

    /// A product by its name.
    pub(crate) fn line(&self, name: &str) -> Option<&Line> {
        self.lines.get(name)
    }

    /// Every product, by name.
    pub(crate) fn lines(&self) -> impl Iterator<Item = &Line> {
        self.lines.values()
    }

    /// A release by its key, with its product.
    pub(crate) fn edition(&self, key: ReleaseKey) -> Option<(&Line, &Edition)> {
        self.lines().find_map(|line| Some((line, line.editions.get(&key)?)))
    }

    /// An image by its SHA-256.
    pub(crate) fn image(&self, sha256: &Sha256) -> Option<&StoredImage> {
        self.images.get(sha256)
    }

    /// What a device may run that reports this. The appended SHA-256 goes before the MD5; the MD5
    /// speaks only for images that have none.
    pub(crate) fn running(&self, check_in: &CheckIn) -> &[RunningDigest] {
        let rows = |digest: SketchDigest| self.digests.get(&digest).map_or(&[][..], Vec::as_slice);
        let by_sha256 = check_in.sketch_sha256.map_or(&[][..], |d| rows(SketchDigest::Sha256(d)));
        if !by_sha256.is_empty() {
            return by_sha256;
        }
        let by_md5 = check_in.sketch_md5.map_or(&[][..], |d| rows(SketchDigest::Md5(d)));
        let speaks = |row: &RunningDigest| {
            self.image(&row.image).is_none_or(|stored| stored.image.running_sha256.is_none())
        };
        if check_in.sketch_sha256.is_none() || by_md5.iter().all(speaks) { by_md5 } else { &[] }
    }
}

impl Line {
    /// The release that a channel points to.
    pub(crate) fn on_channel(&self, name: &ChannelName) -> Option<&Edition> {
        self.editions.get(&self.channels.get(name)?.release?)
    }

    /// The newest release that has one of these images.
    pub(crate) fn edition_with(&self, running: &[RunningDigest]) -> Option<&Edition> {
        let newest = running.iter().filter_map(|row| self.newest.get(&row.image)).max()?;
        self.editions.get(newest)
    }

    /// Reads a version as one of this product.
    pub(crate) fn version(&self, text: &str) -> Version {
        Version::read(text, self.product.name.as_str())
    }
}

impl Edition {
    /// Its images for a part of a device.
    pub(crate) fn images(&self, part: Part) -> impl Iterator<Item = &ReleaseImage> {
        self.images.iter().filter(move |image| image.part == part)
    }

    /// Whether a device that may run these runs this release.
    pub(crate) fn runs_as(&self, running: &[RunningDigest]) -> bool {
        self.images(Part::Sketch).any(|image| running.iter().any(|row| row.image == image.image))
    }

    /// The chips that it has an image for.
    pub(crate) fn chips(&self, part: Part) -> Vec<Chip> {
        let mut chips: Vec<Chip> = self.images(part).filter_map(|image| image.chip).collect();
        chips.sort_unstable();
        chips.dedup();
        chips
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::digest::Digest;
    use crate::fleet::fixtures::{check_in, door, esp32_image, image, sha256, stored};

    fn running(rows: PublishedRows, check_in: &CheckIn) -> Vec<Sha256> {
        Published::new(rows).running(check_in).iter().map(|row| row.image).collect()
    }

    #[test]
    fn an_appended_digest_goes_before_the_md5() {
        let with_both = crate::catalog::image::Image {
            running_md5: vec![Digest([50; 16])],
            ..esp32_image(110, Chip::Esp32)
        };
        let without = crate::catalog::image::Image {
            running_md5: vec![Digest([60; 16])],
            running_sha256: None,
            ..esp32_image(120, Chip::Esp32)
        };
        let images = vec![stored(with_both), stored(without)];
        let rows = || PublishedRows { images: images.clone(), ..PublishedRows::default() };
        let check = |md5: u8, sha256: Option<u8>, expected: &[Sha256]| {
            let sketch_md5 = Some(Digest([md5; 16]));
            let sketch_sha256 = sha256.map(|byte| Digest([byte; 32]));
            let check_in = CheckIn { sketch_md5, sketch_sha256, ..check_in() };
            assert_eq!(running(rows(), &check_in), expected, "{md5} {sha256:?}");
        };
        check(50, Some(110), &[sha256(110)]);
        check(50, None, &[sha256(110)]);
        check(60, Some(7), &[sha256(120)]);
        // Another build that happens to have its MD5 has another appended digest, too.
        check(50, Some(7), &[]);
    }

    #[test]
    fn a_digest_that_was_learnt_counts_as_the_images_own() {
        let digest = SketchDigest::Md5(Digest([77; 16]));
        let learnt = RunningDigest { digest, image: sha256(20), flash_mode: Some(0) };
        let rows = PublishedRows { digests: vec![learnt], ..door() };
        let check_in = CheckIn { sketch_md5: Some(Digest([77; 16])), ..check_in() };
        assert_eq!(running(rows, &check_in), [sha256(20)]);
    }

    #[test]
    fn what_belongs_to_nothing_is_left_out() {
        let mut rows = door();
        rows.products.clear();
        rows.images.push(stored(image(90)));
        let published = Published::new(rows);
        assert_eq!(published.lines().count(), 0);
        assert!(published.image(&sha256(90)).is_some());
    }
}
