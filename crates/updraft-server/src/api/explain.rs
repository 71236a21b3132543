//! What a device would get now, by what it reported last, and why.

use std::sync::Arc;

use axum::extract::State;
use serde::Deserialize;

use super::caller::{Caller, Read};
use super::problem::{Answer, Problem};
use super::request::{Asked, Json, Names};
use super::wire;
use crate::check_in::Mode;
use crate::decide::managed::{self, Call, Decision, Mark, Occasion, Room, Rows};
use crate::fleet::{Evidence, Shown, Strength};
use crate::people::PeopleState;
use crate::store::Store;

#[derive(Deserialize)]
pub(crate) struct Of {
    part: Option<String>,
}

pub(crate) async fn explain(
    State(state): State<PeopleState>,
    _: Caller<Read>,
    Names(name): Names<String>,
    Asked(of): Asked<Of>,
) -> Answer<Json<wire::Explanation>> {
    let mode = match of.part.as_deref() {
        None | Some("sketch") => Mode::Sketch,
        Some("filesystem") => Mode::Filesystem,
        Some(_) => return Err(Problem::unfit("part is sketch or filesystem")),
    };
    let work = async move |store: Arc<Store>| {
        let key = store.device_named(&name).await?;
        Ok((store.device(key).await?, store.attempts(key).await?))
    };
    let registry = &state.app.registry;
    registry.store.catch_up().await?;
    let (device, attempts) = registry.store.call(work).await?;
    let stock = registry.fresh_stock().await?;
    let check_in = device.as_check_in(mode);
    let call = Call {
        check_in: &check_in,
        product: None,
        evidence: Evidence::default(),
        strength: Strength::Weak,
        shown: Shown::default(),
        address: device.reported.address,
        occasion: Occasion::Question,
    };
    let rows = Rows {
        published: &stock.published,
        device: Some(&device),
        attempts: &attempts,
        policy: &state.app.fleet_policy,
        room: Room::Free,
    };
    let (outcome, said) = managed::explain(&call, &rows, state.app.now());
    let (decision, reason) = match &outcome.decision {
        Decision::Offer(_) => ("offer", None),
        Decision::UpToDate => ("up-to-date", None),
        Decision::Hold(hold) => ("hold", Some(hold.name())),
        Decision::Refuse(refusal) => ("refuse", Some(refusal.name())),
    };
    let steps = said.into_iter().map(|step| wire::Step {
        mark: match step.mark {
            Mark::Note => "note",
            Mark::Passed => "passed",
            Mark::Failed => "failed",
        }
        .to_owned(),
        words: step.words,
    });
    Ok(Json(wire::Explanation {
        decision: decision.to_owned(),
        reason: reason.map(str::to_owned),
        words: outcome.decision.words().into_owned(),
        steps: steps.collect(),
    }))
}
