//! Many devices at once, all or none.

use std::collections::BTreeSet;

use axum::extract::State;
use updraft_core::Family;

use super::caller::{Caller, Devices};
use super::devices::{chip, device_name};
use super::problem::{Answer, Problem};
use super::request::{Json, read};
use super::wire;
use crate::check_in::Mac;
use crate::people::PeopleState;
use crate::store::import::Imported;

/// Most devices at once.
const MOST: usize = 10_000;

pub(crate) async fn import(
    State(state): State<PeopleState>,
    caller: Caller<Devices>,
    Json(list): Json<wire::Import>,
) -> Answer<Json<wire::Imported>> {
    if list.devices.len() > MOST {
        return Err(Problem::unfit(format_args!(
            "at most {MOST} devices at once; send them in parts"
        )));
    }
    let mut macs = BTreeSet::new();
    let mut rows = Vec::with_capacity(list.devices.len());
    for (place, row) in (1..).zip(list.devices) {
        let row = read_row(row).map_err(|problem| problem.within(format_args!("row {place}")))?;
        if !macs.insert(row.mac) {
            return Err(Problem::unfit(format_args!(
                "row {place}: {} stands there twice",
                row.mac
            )));
        }
        rows.push(row);
    }
    let store = &state.app.registry.store;
    let count = store.call(async move |store| store.import(rows, &caller.by).await).await?;
    Ok(Json(wire::Imported { new: count.new, known: count.known }))
}

fn read_row(row: wire::ImportRow) -> Answer<Imported> {
    let mac = Mac::read(row.mac.as_bytes());
    let mac = mac.ok_or_else(|| Problem::unfit(format_args!("{:?} is no MAC", row.mac)))?;
    let chip = row.chip.map(|name| chip(&name)).transpose()?;
    let family = match (row.family.as_deref(), chip) {
        (None, Some(known)) => known.chip.family(),
        (None | Some("esp8266"), _) => Family::Esp8266,
        (Some("esp32"), _) => Family::Esp32,
        (Some(other), _) => {
            return Err(Problem::unfit(format_args!("{other:?} is no family: esp8266, esp32")));
        }
    };
    if let Some(known) = chip.filter(|known| known.chip.family() != family) {
        let name = known.chip.name();
        return Err(Problem::unfit(format_args!("{name} is not of the family {}", family.name())));
    }
    Ok(Imported {
        mac,
        family,
        chip,
        name: row.name.map(device_name).transpose()?,
        notes: row.notes,
        product: row.product.map(|name| read("product", &name)).transpose()?,
        channel: row.channel.map(|name| read("channel", &name)).transpose()?,
        tags: row.tags.iter().map(|tag| read("tag", tag)).collect::<Answer<_>>()?,
    })
}
