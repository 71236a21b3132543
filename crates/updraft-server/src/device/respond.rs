//! From a device's request to its answer: looks up, asks `decide`, lets the dialect word it. The same
//! function for both planes; with [`Effort::Quick`] it never waits for the disk.

use std::borrow::Cow;
use std::sync::Arc;

use jiff::Timestamp;

use crate::app::App;
use crate::catalog::{Absent, BadPath, CatalogPath, Effort, Entry, Found};
use crate::check_in::{CheckIn, Mode};
use crate::decide::{Decision, Note, decide_file, is_tasmota};
use crate::deliver::{Delivery, Source};
use crate::device::managed::{self, Offered};
use crate::device::request::{Conditions, DeviceRequest};
use crate::dialect::arduino::{self, Client};
use crate::dialect::autoconnect;
use crate::http::range::{self, Asked};
use crate::http::{Answer, Body, Method, Status};
use crate::router::{DeviceRoute, ListQuery, Managed};

/// An answer, and what the log says of it.
#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) answer: Answer,
    /// Why it is this one.
    pub(crate) why: Cow<'static, str>,
    /// The file that the device runs, if its digest is known.
    pub(crate) runs: Option<Arc<Entry>>,
    pub(crate) weight: Weight,
    /// The attempt that it belongs to.
    pub(crate) offered: Option<Offered>,
}

/// How loudly the log tells of an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Weight {
    Usual,
    /// Something a person should look at.
    Warning,
}

impl Reply {
    pub(crate) fn new(answer: Answer, why: impl Into<Cow<'static, str>>) -> Self {
        Self { answer, why: why.into(), runs: None, weight: Weight::Usual, offered: None }
    }

    pub(crate) fn with_weight(self, weight: Weight) -> Self {
        Self { weight, ..self }
    }
}

/// Answers a device-plane request; `None` if that takes [`Effort::Disk`].
pub(crate) fn respond(
    app: &App,
    request: &DeviceRequest,
    now: Timestamp,
    effort: Effort,
) -> Option<Reply> {
    match &request.route {
        DeviceRoute::OtherMethod => Some(Reply::new(
            Answer::empty(Status::NotImplemented).closing(),
            "only GET and HEAD are known here",
        )),
        DeviceRoute::CatalogList(query) => respond_list(app, query, effort),
        DeviceRoute::CatalogFile => respond_file(app, request, now, effort),
        DeviceRoute::Managed(managed) => respond_managed(app, request, managed, now, effort),
    }
}

fn respond_list(app: &App, query: &ListQuery, effort: Effort) -> Option<Reply> {
    let refused =
        |status, why: Cow<'static, str>| Some(Reply::new(Answer::empty(status).closing(), why));
    let folder = match autoconnect::read(query.op.as_deref(), query.path.as_deref()) {
        autoconnect::Asked::NoOperation => {
            return refused(Status::Forbidden, "no such catalog operation".into());
        }
        autoconnect::Asked::List(folder) => match CatalogPath::from_bytes(folder) {
            Ok(folder) => folder,
            Err(error @ BadPath::Traversal) => {
                return refused(Status::Forbidden, error.to_string().into());
            }
            Err(error @ BadPath::Impossible) => {
                return refused(Status::NotFound, error.to_string().into());
            }
        },
    };
    match app.catalog.list(&folder, effort) {
        Found::NeedsDisk => None,
        Found::Known(listing) => {
            let why: Cow<'static, str> = match folder.as_str() {
                "" => "listed".into(),
                name => format!("listed {}", name.escape_debug()).into(),
            };
            Some(Reply::new(autoconnect::list(listing.json.clone()), why))
        }
        Found::Absent(Absent::NeverServed) => {
            refused(Status::Forbidden, "the folder is not part of the catalog".into())
        }
        Found::Absent(_) => refused(Status::NotFound, "there is no such folder".into()),
    }
}

/// The check-in that a request is, else what its sender is told.
fn check_in(request: &DeviceRequest) -> Result<&CheckIn, Box<Reply>> {
    match &request.client {
        Client::Device(check_in) => Ok(check_in),
        Client::Other => Err(Box::new(Reply::new(arduino::refuse_person(), "not an updater"))),
        Client::Anonymous(_) => {
            let answer = Answer::empty(Status::Forbidden);
            Err(Box::new(Reply::new(answer, "the updater names neither a MAC nor a chip id")))
        }
        Client::UnknownMode(_) => {
            let answer = Answer::empty(Status::NotFound);
            Err(Box::new(Reply::new(answer, "the updater asks for an unknown mode")))
        }
    }
}

/// Answers on a managed path; a file of the catalog with that name goes before it.
fn respond_managed(
    app: &App,
    request: &DeviceRequest,
    managed: &Managed,
    now: Timestamp,
    effort: Effort,
) -> Option<Reply> {
    let check_in = match check_in(request) {
        Ok(check_in) => check_in,
        Err(reply) => return Some(*reply),
    };
    if managed.path_token.is_none()
        && let Ok(path) = CatalogPath::from_target(&request.path)
    {
        match app.catalog.file(&path, now, effort) {
            Found::NeedsDisk => return None,
            Found::Known(_) => return respond_file(app, request, now, effort),
            Found::Absent(_) => {}
        }
    }
    if !request.names_mode {
        let answer = Answer::empty(Status::Forbidden);
        return Some(Reply::new(answer, "the updater does not say what it asks for (mode)"));
    }
    managed::respond(app, request, managed, check_in, now, effort)
}

fn respond_file(
    app: &App,
    request: &DeviceRequest,
    now: Timestamp,
    effort: Effort,
) -> Option<Reply> {
    let check_in = match check_in(request) {
        Ok(check_in) => check_in,
        Err(reply) => return Some(*reply),
    };
    let found = match app.catalog.just_seen(&request.path, now) {
        Some(entry) => Ok(entry),
        None => match CatalogPath::from_target(&request.path) {
            Ok(path) => match app.catalog.file(&path, now, effort) {
                Found::NeedsDisk => return None,
                Found::Known(entry) => Ok(entry),
                Found::Absent(absent) => Err(absent.to_string()),
            },
            Err(error) => Err(error.to_string()),
        },
    };
    // Asked after the file was found: perhaps only that made its digests known.
    let runs = app.catalog.running(check_in);
    let reply = match found {
        Ok(entry) => respond_entry(app, request, check_in, &entry, runs.as_deref(), effort)?,
        Err(why) => Reply::new(Answer::empty(Status::NotFound), why),
    };
    Some(Reply { runs, ..reply })
}

fn respond_entry(
    app: &App,
    request: &DeviceRequest,
    check_in: &CheckIn,
    entry: &Entry,
    runs: Option<&Entry>,
    effort: Effort,
) -> Option<Reply> {
    let running = runs.map(|runs| runs.as_running(check_in));
    let decision = decide_file(check_in, &entry.image, running, app.policy);
    let weight = match &decision {
        Decision::Offer(Note::None) | Decision::UpToDate => Weight::Usual,
        Decision::Offer(_) | Decision::Refuse(_) => Weight::Warning,
    };
    let why = decision.words();
    let reply = match &decision {
        _ if check_in.mode == Mode::Version => {
            let (answer, version) = arduino::version(check_in, entry, runs, &decision);
            let why = match &decision {
                Decision::Refuse(reason) => format!("told {version}, for {reason}"),
                _ => format!("told {version}"),
            };
            Reply::new(answer, why)
        }
        Decision::UpToDate => Reply::new(Answer::empty(Status::NotModified), why),
        Decision::Refuse(_) => Reply::new(Answer::empty(Status::Forbidden), why),
        Decision::Offer(_) => deliver(app, request, check_in, entry, why, effort)?,
    };
    Some(Reply { weight, ..reply })
}

/// The answer that sends an image, as much of it as was asked for.
fn deliver(
    app: &App,
    request: &DeviceRequest,
    check_in: &CheckIn,
    entry: &Entry,
    why: Cow<'static, str>,
    effort: Effort,
) -> Option<Reply> {
    let sent = arduino::Sent::of(entry);
    let etag = sent.etag();
    let Conditions { range, if_range, if_none_match } = request.conditions();
    if if_none_match == Some(etag.as_bytes()) {
        return Some(Reply::new(Answer::empty(Status::NotModified), "the client has it already"));
    }
    let size = entry.image.size;
    let unchanged = if_range.is_none_or(|tag| tag == etag.as_bytes());
    let (status, range) = match range::parse(range.filter(|_| unchanged), size) {
        Asked::Whole => (Status::Ok, 0..size),
        Asked::Part(range) => (Status::PartialContent, range),
        Asked::Nothing => {
            let answer = Answer::empty(Status::RangeNotSatisfiable)
                .with("Content-Range", format!("bytes */{size}"));
            return Some(Reply::new(answer, "the range is not in the file"));
        }
    };
    let (source, place) = if request.framing.method == Method::Head {
        (Source::HeadOnly, None)
    } else {
        let sha256 = &entry.image.sha256;
        let source = match app.images.get(sha256) {
            Some(image) => Source::Memory(image),
            None => {
                let takes_in = app.images.takes_in(sha256, size);
                if takes_in && effort == Effort::Quick {
                    return None;
                }
                let Some(file) = app.catalog.open_entry(entry) else {
                    let answer = Answer::empty(Status::NotFound);
                    return Some(Reply::new(answer, "the file just changed"));
                };
                let image = takes_in.then(|| app.images.load(sha256, size, &file)).flatten();
                match image {
                    Some(image) => Source::Memory(image),
                    None => Source::File(Arc::new(file), entry.stamp),
                }
            }
        };
        match app.limits.download(check_in.device) {
            Ok(place) => (source, Some(place)),
            Err(_) => {
                // "Later", in the only words that a client takes for no error; Tasmota takes them for
                // success and restarts.
                let status = match check_in.version.as_deref() {
                    Some(version) if is_tasmota(version) => Status::Forbidden,
                    _ => Status::NotModified,
                };
                let why = "too many downloads of this device at once";
                return Some(Reply::new(Answer::empty(status), why));
            }
        }
    };
    let mut answer = arduino::image(&sent, status, &range);
    answer.body = Body::Image(Delivery { source, range, place });
    Some(Reply::new(answer, why))
}
