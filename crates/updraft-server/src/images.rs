//! The files of uploaded images, beside the database: written whole or not at all, each under a name of
//! its own, gone when no row knows it. What an image is and who needs it stands in the store.

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::BodyExt as _;
use hyper::body::Body;
use jiff::Timestamp;
use object_store::local::LocalFileSystem;
use object_store::path::Path as Name;
use object_store::{MultipartUpload, ObjectStore as _, ObjectStoreExt as _};
use updraft_core::{Facts, Inflater, Inspector};

use crate::digest::Digest;
use crate::store::{Store, StoreError};

/// The folder of image files.
#[derive(Debug)]
pub(crate) struct ImageFiles {
    files: LocalFileSystem,
}

/// A file that is in the folder, whole and on the disk. It goes with the next collection unless a row
/// names it by then.
#[derive(Debug)]
pub(crate) struct Uploaded {
    /// What it is.
    pub facts: Facts,
    /// Its name in the folder.
    pub file: String,
}

/// Why an upload left nothing.
#[derive(Debug, thiserror::Error)]
pub(crate) enum UploadError {
    /// The sender gave fewer or more bytes than announced.
    #[error("{given} bytes came, {announced} were announced")]
    Length {
        /// What was to come.
        announced: u64,
        /// What came; when more than announced, the rest was not read.
        given: u64,
    },
    /// The sender stopped.
    #[error("the upload broke off")]
    Broken(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// The folder cannot take it.
    #[error("cannot store the image")]
    Store(#[from] object_store::Error),
    /// The system gives no random name.
    #[error("cannot name the image's file")]
    Random(#[from] getrandom::Error),
}

/// Why files that nobody needs are still there.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CollectError {
    /// The database does not say which.
    #[error("cannot find out which image files are needed")]
    Store(#[from] StoreError),
    /// The folder does not give one up.
    #[error("cannot delete an image file")]
    Folder(#[from] object_store::Error),
}

/// Where files are while they are being written. Emptied at start: whatever is there then is of an upload
/// that the end of the server broke off.
const INCOMING: &str = "incoming";

/// Bytes gathered before they are written: what S3 takes for a part at least.
const PART: usize = 5 << 20;

impl ImageFiles {
    /// Opens the folder of this name, which is made when new. One process may have it open.
    pub(crate) fn open(folder: &Path) -> io::Result<Self> {
        match std::fs::remove_dir_all(folder.join(INCOMING)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => std::fs::create_dir_all(folder)?,
        }
        let files = LocalFileSystem::new_with_prefix(folder).map_err(io::Error::other)?;
        Ok(Self { files: files.with_fsync(true) })
    }

    /// Takes an upload of `length` bytes and looks at it on the way. Whatever goes wrong, nothing is left.
    pub(crate) async fn upload<B>(&self, length: u64, body: B) -> Result<Uploaded, UploadError>
    where
        B: Body<Data = Bytes>,
        B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        let mark = random_mark()?;
        let incoming = Name::from_iter([INCOMING, &mark]);
        let mut upload = self.files.put_multipart(&incoming).await?;
        let facts = match receive(length, body, upload.as_mut()).await {
            Ok(facts) => facts,
            Err(error) => {
                upload.abort().await?;
                return Err(error);
            }
        };
        upload.complete().await?;
        // Its own mark makes the name unique: who deletes a file knows that no later upload of the same
        // bytes needs it.
        let file = format!("{}-{mark}", Digest(facts.sha256));
        if let Err(error) = self.files.rename(&incoming, &Name::from(file.as_str())).await {
            self.files.delete(&incoming).await?;
            return Err(error.into());
        }
        Ok(Uploaded { facts, file })
    }

    /// Where a file is, to be opened by who sends it.
    pub(crate) fn path(&self, file: &str) -> object_store::Result<PathBuf> {
        self.files.path_to_filesystem(&Name::from(file))
    }

    /// Deletes a file; one that is gone is no error.
    pub(crate) async fn delete(&self, file: &str) -> object_store::Result<()> {
        match self.files.delete(&Name::from(file)).await {
            Err(object_store::Error::NotFound { .. }) => Ok(()),
            result => result,
        }
    }

    /// Deletes the files that no release has and nobody has uploaded for `grace`, and those of uploads that
    /// were never entered. How many these were.
    pub(crate) async fn collect(
        &self,
        store: &Store,
        now: Timestamp,
        grace: Duration,
    ) -> Result<usize, CollectError> {
        let before = now.checked_sub(grace).unwrap_or(Timestamp::MIN);
        let mut files = store.drop_unused_files(before).await?;
        // Those of before, should the server have ended between the two steps.
        let old = self.older_than(before).await?;
        files.extend(store.strays(old).await?);
        files.sort_unstable();
        files.dedup();
        for file in &files {
            self.delete(file).await?;
        }
        Ok(files.len())
    }

    /// The names of the files that were stored before this.
    async fn older_than(&self, before: Timestamp) -> object_store::Result<Vec<String>> {
        let before = before.as_millisecond();
        let all = self.files.list_with_delimiter(None).await?.objects.into_iter();
        let old = all.filter(|file| file.last_modified.timestamp_millis() < before);
        Ok(old.map(|file| file.location.to_string()).filter(|name| is_ours(name)).collect())
    }
}

/// Whether a file was named by [`ImageFiles::upload`].
fn is_ours(name: &str) -> bool {
    name.split_once('-').is_some_and(|(sha256, mark)| {
        sha256.parse::<Digest<32>>().is_ok() && mark.parse::<Digest<8>>().is_ok()
    })
}

/// Passes a body on to the inspector and the store, once each.
async fn receive<B>(
    length: u64,
    body: B,
    upload: &mut dyn MultipartUpload,
) -> Result<Facts, UploadError>
where
    B: Body<Data = Bytes>,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    let mut body = std::pin::pin!(body);
    let mut inflater = Box::new(Inflater::new());
    let mut inspector = Inspector::with_inflater(length, &mut inflater);
    let mut given: u64 = 0;
    let mut part: Vec<Bytes> = Vec::new();
    let mut gathered = 0;
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|error| UploadError::Broken(error.into()))?;
        let Ok(block) = frame.into_data() else { continue };
        given += block.len() as u64;
        if given > length {
            return Err(UploadError::Length { announced: length, given });
        }
        inspector.update(&block);
        gathered += block.len();
        part.push(block);
        if gathered >= PART {
            gathered = 0;
            upload.put_part(part.drain(..).collect()).await?;
        }
    }
    if given < length {
        return Err(UploadError::Length { announced: length, given });
    }
    if !part.is_empty() {
        upload.put_part(part.into_iter().collect()).await?;
    }
    Ok(inspector.finish())
}

/// Eight random bytes in hex.
fn random_mark() -> Result<String, getrandom::Error> {
    Ok(Digest(getrandom::u64()?.to_be_bytes()).to_string())
}

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;
    use std::convert::Infallible;
    use std::pin::Pin;
    use std::task::{Context, Poll};

    use http_body_util::Full;
    use hyper::body::Frame;
    use updraft_core::Kind;
    use updraft_pack::Esp8266Image;

    use super::*;
    use crate::catalog::image::Image;
    use crate::fleet::{Actor, Part, ProductName, Settings};
    use crate::store::events::By;
    use crate::store::images::NewImage;
    use crate::store::releases::{NewRelease, NewReleaseImage};

    /// A body that gives these blocks, and then breaks.
    struct Breaking(VecDeque<Bytes>);

    impl Body for Breaking {
        type Data = Bytes;
        type Error = io::Error;

        fn poll_frame(
            mut self: Pin<&mut Self>,
            _: &mut Context<'_>,
        ) -> Poll<Option<io::Result<Frame<Bytes>>>> {
            let block = self.0.pop_front().map(Frame::data);
            Poll::Ready(Some(block.ok_or_else(|| io::ErrorKind::ConnectionReset.into())))
        }
    }

    fn image() -> Vec<u8> {
        Esp8266Image::new().filler(300_000, 1).build().unwrap()
    }

    /// All files in the folder, wherever.
    fn all(folder: &Path) -> Vec<PathBuf> {
        let mut found = Vec::new();
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() { found.extend(all(&path)) } else { found.push(path) }
        }
        found
    }

    #[tokio::test]
    async fn an_upload_is_stored_as_it_is_and_looked_at() {
        let folder = tempfile::tempdir().unwrap();
        let files = ImageFiles::open(folder.path()).unwrap();
        let image = image();
        let body = Full::new(Bytes::from(image.clone()));
        let uploaded = files.upload(image.len() as u64, body.clone()).await.unwrap();
        assert_eq!(uploaded.facts.kind, Kind::ArduinoSketch);
        assert!(uploaded.file.starts_with(&Digest(uploaded.facts.sha256).to_string()));
        let path = files.path(&uploaded.file).unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), image);
        assert_eq!(all(folder.path()), [path.canonicalize().unwrap()]);
        let again = files.upload(image.len() as u64, body).await.unwrap();
        assert_ne!(again.file, uploaded.file, "each upload has a file of its own");
        files.delete(&again.file).await.unwrap();
        files.delete(&again.file).await.unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), image);
    }

    #[tokio::test]
    async fn a_large_upload_is_stored_in_parts() {
        let folder = tempfile::tempdir().unwrap();
        let files = ImageFiles::open(folder.path()).unwrap();
        let blocks: Vec<Bytes> =
            (0..13_u8).map(|block| Bytes::from(vec![block; 1 << 20])).collect();
        let length = blocks.iter().map(|block| block.len() as u64).sum();
        let whole = blocks.concat();
        let uploaded = files.upload(length, Ending(blocks.into())).await.unwrap();
        assert_eq!(std::fs::read(files.path(&uploaded.file).unwrap()).unwrap(), whole);
    }

    /// A body of these blocks.
    struct Ending(VecDeque<Bytes>);

    impl Body for Ending {
        type Data = Bytes;
        type Error = Infallible;

        fn poll_frame(
            mut self: Pin<&mut Self>,
            _: &mut Context<'_>,
        ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
            Poll::Ready(self.0.pop_front().map(|block| Ok(Frame::data(block))))
        }
    }

    #[tokio::test]
    async fn a_broken_upload_leaves_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let files = ImageFiles::open(folder.path()).unwrap();
        let half = Bytes::from(image()[..100_000].to_vec());
        let broken = Breaking(VecDeque::from([half.clone()]));
        let error = files.upload(300_000, broken).await.unwrap_err();
        assert!(matches!(error, UploadError::Broken(_)), "{error:?}");
        for length in [99_999, 100_001] {
            let error = files.upload(length, Full::new(half.clone())).await.unwrap_err();
            assert!(matches!(error, UploadError::Length { given: 100_000, .. }), "{error:?}");
        }
        assert_eq!(all(folder.path()), [] as [PathBuf; 0]);
    }

    #[tokio::test]
    async fn what_a_killed_server_left_is_gone_at_the_next_start() {
        let folder = tempfile::tempdir().unwrap();
        drop(ImageFiles::open(folder.path()).unwrap());
        std::fs::create_dir(folder.path().join(INCOMING)).unwrap();
        std::fs::write(folder.path().join(INCOMING).join("0123#1"), b"half").unwrap();
        drop(ImageFiles::open(folder.path()).unwrap());
        assert_eq!(all(folder.path()), [] as [PathBuf; 0]);
    }

    #[tokio::test]
    async fn what_nothing_needs_is_collected_once_its_time_of_grace_is_over() {
        let folder = tempfile::tempdir().unwrap();
        let files = ImageFiles::open(&folder.path().join("images")).unwrap();
        let foreign = folder.path().join("images/README");
        std::fs::write(&foreign, "hello").unwrap();
        let store = Store::open_in(folder.path()).await.unwrap();
        let door: ProductName = "door".parse().unwrap();
        let by = |at| By { actor: Actor::Server, at };
        let image = image();
        let upload = async || {
            let body = Full::new(Bytes::from(image.clone()));
            files.upload(image.len() as u64, body).await.unwrap()
        };
        let entered = upload().await;
        let stray = upload().await;
        let path = |file: &str| files.path(file).unwrap();
        let stored = std::fs::metadata(path(&stray.file)).unwrap().modified().unwrap();
        let stored = Timestamp::try_from(stored).unwrap();
        let new = NewImage {
            image: Image::new(&entered.facts),
            name: "door.bin".into(),
            file: entered.file.clone(),
            signed_by: None,
        };
        let sha256 = new.image.sha256;
        store.add_image(new, &by(stored)).await.unwrap();
        let collect = async |after: u64| {
            let now = stored + Duration::from_secs(after);
            files.collect(&store, now, Duration::from_mins(1)).await.unwrap()
        };
        assert_eq!(collect(59).await, 0);
        store.create_product(door.clone(), Settings::default(), &by(stored)).await.unwrap();
        let part = Part::Sketch;
        let release = NewRelease {
            product: door,
            version: "1".into(),
            sort_key: "1".into(),
            notes: String::new(),
            images: vec![NewReleaseImage { part, chip: None, flash_size: None, image: sha256 }],
        };
        store.publish(release, &by(stored)).await.unwrap();
        assert_eq!(collect(61).await, 1);
        assert!(path(&entered.file).exists() && !path(&stray.file).exists());
        assert_eq!(collect(999).await, 0);
        assert!(foreign.exists(), "what is not ours stays");
        store.close().await;
    }
}
