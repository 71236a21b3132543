//! A check-in on a managed path: loads what is known, has it decided, writes what follows, answers. The
//! rules are in `decide/managed.rs`, the words of the answer in the dialect.

use std::borrow::Cow;
use std::fs::File;
use std::net::IpAddr;
use std::sync::Arc;

use jiff::Timestamp;

use crate::app::App;
use crate::catalog::{Effort, Stamp};
use crate::check_in::{CheckIn, Mode};
use crate::decide::managed::{
    Call, Decision, Hold, Occasion, Offer, Outcome, ProductBy, Registration, Room, Rows, decide,
};
use crate::deliver::{Delivery, Source};
use crate::device::request::DeviceRequest;
use crate::device::respond::{Reply, Weight};
use crate::dialect::arduino;
use crate::fleet::settle::Happened;
use crate::fleet::{
    Admission, Attempt, AttemptKey, Device, DeviceKey, EventKind, Shown, State, Strength, Subject,
};
use crate::http::{Answer, Body, Method, Status};
use crate::limits::DownloadPlace;
use crate::registry::{Recent, Stock};
use crate::router::Managed;
use crate::store::Result;
use crate::store::attempts::{Changed, Outcome as Written, Recorded};
use crate::store::devices::Registered;
use crate::store::events::Happening;

/// An attempt whose image is on its way: what becomes of it is told to the registry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Offered {
    pub(crate) device: DeviceKey,
    pub(crate) attempt: AttemptKey,
    /// Which offer of it: the same attempt may be offered again before the end of this one is known.
    at: Timestamp,
}

/// How often a decision is made anew because what it was made on has changed.
const TRIES: u32 = 8;

/// Answers a check-in on a managed path; `None` if that takes [`Effort::Disk`].
pub(super) fn respond(
    app: &App,
    request: &DeviceRequest,
    managed: &Managed,
    check_in: &CheckIn,
    now: Timestamp,
    effort: Effort,
) -> Option<Reply> {
    let caller = Caller { request, managed, check_in, now };
    if effort == Effort::Quick {
        return caller.remembered(app);
    }
    Some(match app.registry.wait(caller.decide(app)) {
        Ok(reply) => reply,
        Err(error) => {
            let error: &dyn std::error::Error = &error;
            tracing::error!(error, "cannot decide on a check-in");
            // To the device that is "later", in words that no client takes for anything else.
            let answer = Answer::empty(Status::NotModified);
            Reply::new(answer, "the database does not answer").with_weight(Weight::Warning)
        }
    })
}

/// Who calls, and when.
#[derive(Clone, Copy)]
struct Caller<'a> {
    request: &'a DeviceRequest,
    managed: &'a Managed,
    check_in: &'a CheckIn,
    now: Timestamp,
}

impl<'a> Caller<'a> {
    fn call(&self) -> Call<'a> {
        let basic = self.request.basic.as_deref();
        Call {
            check_in: self.check_in,
            product: self.managed.product.as_deref(),
            evidence: self.managed.evidence,
            strength: Strength::Weak,
            shown: Shown {
                basic: basic.map(|(user, password)| (user.as_str(), password.as_str())),
                path_token: self.managed.path_token.as_deref(),
            },
            address: Some(self.address()),
            occasion: Occasion::CheckIn,
        }
    }

    fn address(&self) -> IpAddr {
        self.request.peer
    }

    /// The answer to a check-in that is equal to the last one, of a device that runs what it should and has
    /// no attempt under way: nothing is read, and nothing waited for.
    fn remembered(&self, app: &App) -> Option<Reply> {
        if self.request.basic.is_some() || self.managed.path_token.is_some() {
            return None;
        }
        let device = app.registry.recall(self.check_in, self.managed, self.address(), self.now)?;
        app.registry.store.observe(device);
        Some(Reply::new(Answer::empty(Status::NotModified), "runs it already"))
    }

    async fn decide(&self, app: &App) -> Result<Reply> {
        for _ in 0..TRIES {
            if let Some(reply) = self.try_to_decide(app).await? {
                return Ok(reply);
            }
        }
        let answer = Answer::empty(Status::NotModified);
        Ok(Reply::new(answer, "what is known of it kept changing").with_weight(Weight::Warning))
    }

    /// Decides once; `None` if something changed meanwhile.
    async fn try_to_decide(&self, app: &App) -> Result<Option<Reply>> {
        let Self { check_in, now, .. } = *self;
        let registry = &app.registry;
        let id = check_in.device;
        let stock = registry.fresh_stock().await?;
        let situation = registry.store.call(async move |store| store.situation(id).await).await?;
        if situation.as_ref().is_some_and(|situation| situation.revision != stock.revision) {
            registry.store.call(async |store| store.refresh().await).await?;
            return Ok(None);
        }
        let (device, attempts) = match &situation {
            Some(situation) => (Some(&situation.device), situation.attempts.as_slice()),
            None => (None, &[][..]),
        };
        let room = match device {
            None if !app.newcomers.may_register(self.address(), now) => Room::Full,
            _ => Room::Free,
        };
        let rows =
            Rows { published: &stock.published, device, attempts, policy: &app.fleet_policy, room };
        let call = self.call();
        let outcome = decide(&call, &rows, now);
        if let Decision::Refuse(_) = outcome.decision {
            // Who is turned away has proven nothing: what it says is not taken down.
            return Ok(Some(self.answer(&outcome.decision, &outcome)));
        }
        let mut seen = match (device, outcome.registration) {
            (Some(device), _) => device.clone(),
            (None, Registration::New(admission)) => {
                let product = outcome.product.map(|(name, _)| name.clone());
                Device::first_seen(check_in, product, admission, now)
            }
            (None, Registration::Known | Registration::Not) => {
                return Ok(Some(self.answer(&outcome.decision, &outcome)));
            }
        };
        let happened = seen.observe(&outcome.observation(&call, &rows, now));
        if device.is_none() {
            match self.register(app, &seen, &outcome).await? {
                Registered::New(key) => {
                    app.newcomers.registered(self.address(), now);
                    seen.key = key;
                }
                Registered::Known(_) => return Ok(None),
                Registered::Full => {
                    let decision = Decision::Hold(Hold::RegistryFull);
                    return Ok(Some(self.answer(&decision, &outcome)));
                }
            }
        }
        let mut written = self.writing(&rows, &outcome, &seen, &happened);
        let mut reply = match &outcome.decision {
            Decision::Offer(offer) if self.takes_it() => match self.image(app, &stock, offer) {
                Err(reply) => *reply,
                Ok((source, place)) => {
                    let before = attempts.iter().find(|a| Some(a.key) == outcome.before);
                    let attempt =
                        Attempt::offer(AttemptKey(0), before, offer.opening(&call, seen.key), now);
                    written.offer = Some(attempt);
                    if let Some(key) = outcome.supersedes {
                        self.supersede(key, &rows, &mut written);
                    }
                    let subject = Subject {
                        device: Some(seen.key),
                        product: outcome.product.map(|(name, _)| name.clone()),
                        release: Some(offer.release),
                        ..Subject::default()
                    };
                    let words = format!("offered the {} of {}", offer.part, offer.version);
                    let kind = EventKind::Offered;
                    written.happenings.push(Happening { at: now, subject, kind, words });
                    sending(&stock, offer, &outcome, source, place)
                }
            },
            decision => self.answer(decision, &outcome),
        };
        if written.is_nothing() {
            registry.store.observe(seen.clone());
        } else {
            written.observed = Some(seen.clone());
            let (key, revision) = (seen.key, stock.revision);
            let recorded = registry
                .store
                .call(async move |store| store.record(key, written, revision).await)
                .await?;
            match recorded {
                Recorded::Stale => {
                    registry.store.call(async |store| store.refresh().await).await?;
                    return Ok(None);
                }
                Recorded::Done(attempt) => {
                    registry.store.forget(key);
                    let offered = attempt.map(|attempt| Offered { device: key, attempt, at: now });
                    reply.offered = offered.filter(|_| matches!(reply.answer.body, Body::Image(_)));
                }
            }
        }
        self.remember(app, &stock, &outcome, attempts, seen);
        Ok(Some(reply))
    }

    async fn register(
        &self,
        app: &App,
        seen: &Device,
        outcome: &Outcome<'_>,
    ) -> Result<Registered> {
        let subject = Subject { product: seen.product.clone(), ..Subject::default() };
        let words = match outcome.registration {
            Registration::New(Admission::Pending) => {
                "seen for the first time; waits to be accepted"
            }
            _ => "seen for the first time",
        };
        let (at, kind) = (self.now, EventKind::Registered);
        let happening = Happening { at, subject, kind, words: words.to_owned() };
        let (device, most) = (seen.clone(), app.fleet_limits.unknown_devices_most.into());
        app.registry
            .store
            .call(async move |store| store.register(device, vec![happening], most).await)
            .await
    }

    /// What has to be written of a decision, but for the offer.
    fn writing(
        &self,
        rows: &Rows<'_>,
        outcome: &Outcome<'_>,
        seen: &Device,
        happened: &[Happened],
    ) -> Written {
        let mut written = Written::default();
        let subject =
            Subject { device: Some(seen.key), product: seen.product.clone(), ..Subject::default() };
        let note = |happened: &Happened| Happening {
            at: self.now,
            subject: subject.clone(),
            kind: happened.kind,
            words: happened.words.clone(),
        };
        for settled in &outcome.settled {
            let found = rows.attempts.iter().find(|row| row.key == settled.attempt.key);
            if let Some(row) = found {
                written.changed.push(Changed { was: row.state, now: settled.attempt.clone() });
            }
            written.happenings.extend(settled.happened.as_ref().map(note));
        }
        written.happenings.extend(happened.iter().map(note));
        if let Some((name, by)) = outcome.product
            && seen.product.as_ref() != Some(name)
        {
            written.moved_to = Some(name.clone());
            let words = match by {
                ProductBy::Move => format!("asked for {name}, and belongs to it from now on"),
                _ => format!("belongs to {name}"),
            };
            let kind = EventKind::MovedProduct;
            written.happenings.push(note(&Happened { kind, words }));
        }
        written
    }

    /// Ends the open attempt that an offer takes the place of.
    fn supersede(&self, key: AttemptKey, rows: &Rows<'_>, written: &mut Written) {
        let over = |attempt: &Attempt| Attempt {
            state: State::Superseded,
            state_since: self.now,
            ..attempt.clone()
        };
        if let Some(changed) = written.changed.iter_mut().find(|changed| changed.now.key == key) {
            changed.now = over(&changed.now);
        } else if let Some(row) = rows.attempts.iter().find(|row| row.key == key) {
            written.changed.push(Changed { was: row.state, now: over(row) });
        }
    }

    /// Whether it would take an image now: it asks for one, and for its bytes.
    fn takes_it(&self) -> bool {
        self.check_in.mode != Mode::Version && self.request.framing.method == Method::Get
    }

    /// The bytes of an offer, and a place among the device's downloads; else what it is told.
    fn image(
        &self,
        app: &App,
        stock: &Stock,
        offer: &Offer,
    ) -> std::result::Result<(Source, Option<DownloadPlace>), Box<Reply>> {
        let gone = || {
            let answer = Answer::empty(Status::NotModified);
            Box::new(
                Reply::new(answer, "the file of the image is not there")
                    .with_weight(Weight::Warning),
            )
        };
        let source = match app.images.get(&offer.image) {
            Some(image) => Source::Memory(image),
            None => {
                let name = stock.files.get(&offer.image).ok_or_else(gone)?;
                let path = app.registry.files.path(name).map_err(|_| gone())?;
                let file = File::open(path).map_err(|_| gone())?;
                let stamp = Stamp::of_file(&file).ok_or_else(gone)?;
                let takes_in = app.images.takes_in(&offer.image, offer.size);
                let image = takes_in.then(|| app.images.load(&offer.image, offer.size, &file));
                match image.flatten() {
                    Some(image) => Source::Memory(image),
                    None => Source::File(Arc::new(file), stamp),
                }
            }
        };
        match app.limits.download(self.check_in.device) {
            Ok(place) => Ok((source, Some(place))),
            Err(_) => {
                let why = "too many downloads of this device at once";
                Err(Box::new(Reply::new(Answer::empty(Status::NotModified), why)))
            }
        }
    }

    fn answer(&self, decision: &Decision, outcome: &Outcome<'_>) -> Reply {
        let (answer, told) = arduino::managed(self.check_in, decision, outcome.version());
        let why: Cow<'static, str> = match told {
            Some(version) => format!("told {version}; {}", decision.words()).into(),
            None => decision.words().into_owned().into(),
        };
        let weight = match decision {
            Decision::UpToDate | Decision::Offer(_) => Weight::Usual,
            Decision::Hold(hold) if hold.is_usual() => Weight::Usual,
            Decision::Hold(_) | Decision::Refuse(_) => Weight::Warning,
        };
        Reply::new(answer, why).with_weight(weight)
    }

    /// Remembers a check-in whose answer will be the same until something changes.
    fn remember(
        &self,
        app: &App,
        stock: &Arc<Stock>,
        outcome: &Outcome<'_>,
        attempts: &[Attempt],
        device: Device,
    ) {
        let is_still = outcome.decision == Decision::UpToDate
            && self.check_in.mode == Mode::Sketch
            && outcome.settled.is_empty()
            && !attempts.iter().any(Attempt::is_open)
            && self.managed.path_token.is_none()
            && self.request.basic.is_none();
        if is_still {
            app.registry.remember(Recent {
                stock: Arc::clone(stock),
                check_in: self.check_in.clone(),
                product: self.managed.product.clone(),
                chip: outcome.runs.chip(),
                flash_mode: outcome.runs.flash_mode(),
                device,
            });
        } else {
            app.registry.forget(self.check_in.device);
        }
    }
}

/// Whether two times are the same as they are kept: in milliseconds.
fn is_same(a: Timestamp, b: Timestamp) -> bool {
    a.as_millisecond() == b.as_millisecond()
}

/// The answer that sends an offer.
fn sending(
    stock: &Stock,
    offer: &Offer,
    outcome: &Outcome<'_>,
    source: Source,
    place: Option<DownloadPlace>,
) -> Reply {
    let stored = stock.published.image(&offer.image);
    let name = stored.map_or("firmware.bin", |stored| stored.name.as_str());
    let sent = arduino::Sent { name, size: offer.size, md5: offer.md5, sha256: offer.image };
    let range = 0..offer.size;
    let mut answer = arduino::image(&sent, Status::Ok, &range);
    answer.body = Body::Image(Delivery { source, range, place });
    Reply::new(answer, outcome.decision.words().into_owned())
}

/// Writes how the sending of an offer ended. Nobody waits for it.
pub(crate) fn ended(app: &Arc<App>, offered: Offered, outcome: crate::deliver::Outcome) {
    let app = Arc::clone(app);
    app.clone().registry.spawn(async move {
        if let Err(error) = settle(&app, offered, outcome).await {
            let error: &dyn std::error::Error = &error;
            tracing::error!(error, "cannot write how a download ended");
        }
    });
}

async fn settle(app: &App, offered: Offered, outcome: crate::deliver::Outcome) -> Result<()> {
    let Some(ending) = outcome.ended.ending() else { return Ok(()) };
    let acknowledged = outcome.acknowledged.unwrap_or(0);
    for _ in 0..TRIES {
        let (key, now) = (offered.device, app.now());
        let revision = app.registry.store.call(async |store| store.refresh().await).await?;
        let attempts =
            app.registry.store.call(async move |store| store.attempts(key).await).await?;
        let Some(row) = attempts
            .iter()
            .find(|row| row.key == offered.attempt && is_same(row.offered_at, offered.at))
        else {
            return Ok(());
        };
        let Some(settled) = crate::fleet::settle::end(row, ending, acknowledged, now) else {
            return Ok(());
        };
        let subject = Subject { device: Some(key), ..Subject::default() };
        let happenings = settled.happened.into_iter().map(|happened| Happening {
            at: now,
            subject: subject.clone(),
            kind: happened.kind,
            words: happened.words,
        });
        let written = Written {
            changed: vec![Changed { was: row.state, now: settled.attempt }],
            happenings: happenings.collect(),
            ..Written::default()
        };
        let recorded = app
            .registry
            .store
            .call(async move |store| store.record(key, written, revision).await)
            .await?;
        if recorded != Recorded::Stale {
            return Ok(());
        }
    }
    tracing::warn!("how a download ended was not written: what is known of it kept changing");
    Ok(())
}
