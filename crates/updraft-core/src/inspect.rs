//! The inspector: takes a file in pieces, gives the sheet of facts.
//!
//! It keeps a few KiB, whatever the size of the file, and reads every byte once. How the file is cut
//! into pieces changes nothing. It never decides what may be done with a file.

use md5::Md5;
use sha2::{Digest as _, Sha256};

use self::content::{Content, Prefixes};
use self::gzip::Member;
use self::signature::Trailer;
use crate::chip::Family;
use crate::facts::{
    Checks, Facts, Fault, Gzip, Kind, Places, RunningDigests, Segments, Signature, Sizes,
};

mod content;
mod esp32;
mod esp8266;
mod filesystem;
mod gzip;
mod segments;
mod signature;

pub use self::gzip::Inflater;

/// Looks at one file.
///
/// ```
/// # let file = *b"something else";
/// let mut inspector = updraft_core::Inspector::new(file.len() as u64);
/// for block in file.chunks(4096) {
///     inspector.update(block);
/// }
/// let facts = inspector.finish();
/// assert_eq!(facts.kind, updraft_core::Kind::Unknown);
/// ```
pub struct Inspector<'a> {
    /// Length of the file, as announced and as given.
    announced: u64,
    given: u64,
    sha256: Sha256,
    md5: Md5,
    trailer: Trailer,
    prefixes: Prefixes,
    source: Source<'a>,
    content: Content,
}

/// Where the content comes from.
enum Source<'a> {
    /// Nothing has passed, or one byte that could start a gzip.
    Undecided { held: bool, inflater: Option<&'a mut Inflater> },
    /// The content is the file.
    Plain,
    /// The content is what this inflates to.
    Gzip(Member<'a>),
}

impl core::fmt::Debug for Inspector<'_> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        let Self { announced, given, .. } = self;
        let mut out = f.debug_struct("Inspector");
        out.field("announced", announced).field("given", given).finish_non_exhaustive()
    }
}

impl<'a> Inspector<'a> {
    /// For a file of `length` bytes. A gzip is not looked into: [`Kind::GzipUnread`].
    pub fn new(length: u64) -> Self {
        Self::build(length, None)
    }

    /// For a file of `length` bytes; a gzip is looked into.
    pub fn with_inflater(length: u64, inflater: &'a mut Inflater) -> Self {
        Self::build(length, Some(inflater))
    }

    fn build(length: u64, inflater: Option<&'a mut Inflater>) -> Self {
        Self {
            announced: length,
            given: 0,
            sha256: Sha256::new(),
            md5: Md5::new(),
            trailer: Trailer::new(length),
            prefixes: Prefixes::default(),
            source: Source::Undecided { held: false, inflater },
            content: Content::new(),
        }
    }

    /// Takes the next bytes of the file, any number of them.
    pub fn update(&mut self, bytes: &[u8]) {
        self.trailer.update(self.given, bytes);
        self.read(bytes);
        self.digest(bytes);
        self.given = self.given.saturating_add(bytes.len() as u64);
    }

    /// What is known when the whole file has passed. More or fewer bytes than announced are
    /// [`Fault::Truncated`].
    pub fn finish(mut self) -> Facts {
        if let Source::Undecided { held: true, .. } = self.source {
            self.content.update(0, &gzip::MAGIC[..1]);
        }
        let mut facts = Facts {
            kind: Kind::Unknown,
            chip: None,
            flash: None,
            revisions: None,
            entry: None,
            segments: Segments::default(),
            descriptor: None,
            gzip: None,
            signature: None,
            key: None,
            blocks: None,
            places: Places::default(),
            sizes: Sizes { file: self.given, payload: self.given, ..Sizes::default() },
            checks: Checks::default(),
            fault: None,
            md5: self.md5.finalize().into(),
            sha256: self.sha256.finalize().into(),
            running: RunningDigests::default(),
        };
        match &self.source {
            Source::Gzip(member) => {
                describe_gzip(&mut facts, member, &self.content, &self.trailer);
            }
            _ => describe_plain(&mut facts, &self.content, &self.prefixes, &self.trailer),
        }
        facts.key = facts.signature.and_then(|signature| self.trailer.key(signature));
        if self.given != self.announced {
            facts.fault = facts.fault.or(Some(Fault::Truncated));
        }
        facts
    }

    /// Passes the content on.
    fn read(&mut self, bytes: &[u8]) {
        let content = &mut self.content;
        if let Source::Undecided { held, inflater } = &mut self.source {
            let [id1, id2] = gzip::MAGIC;
            self.source = match (*held, bytes) {
                (_, []) => return,
                (false, [first]) if *first == id1 => {
                    *held = true;
                    return;
                }
                (false, [first, second, ..]) if [*first, *second] == gzip::MAGIC => {
                    Source::Gzip(Member::new(inflater.take()))
                }
                (true, [second, ..]) if *second == id2 => {
                    let mut member = Member::new(inflater.take());
                    member.update(&[id1], |_, _| {});
                    Source::Gzip(member)
                }
                (held, _) => {
                    if held {
                        content.update(0, &[id1]);
                    }
                    Source::Plain
                }
            };
        }
        match &mut self.source {
            Source::Gzip(member) => {
                member.update(bytes, |offset, inflated| content.update(offset, inflated));
            }
            _ => content.update(self.given, bytes),
        }
    }

    /// Sums up the file, and notes its digests at the places that the content names.
    fn digest(&mut self, bytes: &[u8]) {
        let plain = matches!(self.source, Source::Plain);
        let split = |end: Option<u64>| {
            let here = usize::try_from(end?.checked_sub(self.given)?).ok()?;
            if plain && here > 0 { bytes.split_at_checked(here) } else { None }
        };
        match split(self.content.sha256_end()) {
            Some((before, after)) => {
                self.sha256.update(before);
                self.prefixes.sha256 = Some(self.sha256.clone().finalize().into());
                self.sha256.update(after);
            }
            None => self.sha256.update(bytes),
        }
        match split(self.content.md5_end()) {
            Some((before, after)) => {
                self.md5.update(before);
                self.prefixes.md5 = Some(self.md5.clone().finalize().into());
                self.md5.update(after);
            }
            None => self.md5.update(bytes),
        }
    }
}

fn describe_plain(facts: &mut Facts, content: &Content, prefixes: &Prefixes, trailer: &Trailer) {
    let file = facts.sizes.file;
    // A filesystem fills whole sectors: what stands behind them may be a signature.
    let signed = trailer.esp8266().filter(|(_, payload)| payload % 4096 == 0);
    let filesystem = signed.map_or(file, |(_, payload)| payload);
    content.describe(facts, filesystem, prefixes);

    if let (Kind::Filesystem(_), Some((signature, payload))) = (facts.kind, signed) {
        facts.signature = Some(signature);
        facts.sizes.payload = payload;
    }
    let Some(end) = content.image_end(facts.kind) else { return };
    facts.signature = match facts.family() {
        Some(Family::Esp32) => trailer.esp32(end),
        _ => signature_at(trailer, end),
    };
    if facts.signature.is_some() {
        facts.sizes.payload = end;
    } else {
        facts.sizes.trailing = file.saturating_sub(end);
    }
}

fn describe_gzip(facts: &mut Facts, member: &Member<'_>, content: &Content, trailer: &Trailer) {
    let inflated = member.inflated();
    content.describe(facts, inflated.unwrap_or_default(), &Prefixes::default());
    let isize = trailer.last_word_of_payload().unwrap_or_default();
    facts.gzip = Some(Gzip { isize, crc: member.crc() });
    facts.sizes.inflated = inflated;
    let inner_fault = facts.fault;
    facts.fault = member.fault();

    let Some(end) = member.end() else {
        // Nobody looked, or could: what is known of the inside stands, if anything is.
        if facts.kind == Kind::Unknown {
            facts.kind = Kind::GzipUnread;
        }
        if let (None, Some((signature, payload))) = (facts.fault, trailer.esp8266()) {
            facts.signature = Some(signature);
            facts.sizes.payload = payload;
        }
        return;
    };
    facts.signature = signature_at(trailer, end);
    if facts.signature.is_some() {
        facts.sizes.payload = end;
    } else if end < facts.sizes.file {
        facts.sizes.trailing = facts.sizes.file.saturating_sub(end);
        let behind = if member.has_second() { Fault::GzipMembers } else { Fault::GzipTrailing };
        facts.fault = facts.fault.or(Some(behind));
    }
    let length = inflated.unwrap_or_default();
    if u64::from(isize) != length & u64::from(u32::MAX) {
        let wrong = if isize == 0 { Fault::GzipNoSize } else { Fault::GzipSize };
        facts.fault = facts.fault.or(Some(wrong));
    }
    facts.fault = facts.fault.or(inner_fault);
}

/// An ESP8266 signature that stands right behind `end`.
fn signature_at(trailer: &Trailer, end: u64) -> Option<Signature> {
    trailer.esp8266().filter(|&(_, payload)| payload == end).map(|(signature, _)| signature)
}
