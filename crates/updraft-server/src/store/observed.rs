//! What check-ins leave behind in a device's row: what it said, when, and what is made of that. People's
//! decisions are never touched here.

use sqlx::AnyConnection;
use updraft_core::Family;

use super::row::{corrupt, stored};
use super::{Durability, Result, Store};
use crate::fleet::{Device, SketchDigest};

impl Store {
    /// Writes down what these devices said last. It is not on the disk at once, for the next check-in says
    /// it again.
    pub(crate) async fn observe(&self, devices: Vec<Device>) -> Result<()> {
        self.write(devices, Durability::Relaxed, |tx, devices| {
            Box::pin(async move {
                for device in devices {
                    observe(&mut *tx, device).await?;
                }
                Ok(())
            })
        })
        .await
    }
}

/// Writes what a device's check-ins leave, unless a later one was faster. What a person said of its chip
/// and of gzip stays.
pub(super) async fn observe(tx: &mut AnyConnection, device: &Device) -> Result<()> {
    let sql = "UPDATE devices SET
                   version = $2, sketch_md5 = $3, sketch_sha256 = $4, sketch_size = $5,
                   free_space = $6, chip_size = $7, sdk = $8, flash_mode = $9, address = $10,
                   running = $11, last_seen = $12, rhythm_interval = $13, rhythm_intervals = $14,
                   conflict_since = $15, conflict_family = $16, conflict_chip_size = $17,
                   conflict_digest = $18, conflict_flips = $19, conflict_flips_since = $20,
                   strayed_last = $21, strayed_before = $22, family = $23,
                   chip = CASE WHEN chip_from = 'person' THEN chip ELSE $24 END,
                   chip_from = CASE WHEN chip_from = 'person' THEN chip_from ELSE $25 END,
                   gzip = CASE WHEN gzip IN ('always', 'never') THEN gzip ELSE $26 END
               WHERE id = $1 AND last_seen <= $12";
    let Device { reported, rhythm, conflict, strays, .. } = device;
    let running = reported.sketch_sha256.map(SketchDigest::Sha256);
    let running = running.or(reported.sketch_md5.map(SketchDigest::Md5));
    let hardware = conflict.other_hardware;
    let ms = |time: jiff::Timestamp| time.as_millisecond();
    sqlx::query(sql)
        .bind(device.key.0)
        .bind(reported.version.as_deref())
        .bind(reported.sketch_md5.map(|md5| md5.to_string()))
        .bind(reported.sketch_sha256.map(|sha256| sha256.to_string()))
        .bind(reported.sketch_size.map(stored))
        .bind(reported.free_space.map(stored))
        .bind(reported.chip_size.map(stored))
        .bind(reported.sdk.as_deref())
        .bind(reported.flash_mode.map(i64::from))
        .bind(reported.address.map(|address| address.to_string()))
        .bind(running.map(|digest| digest.to_string()))
        .bind(ms(device.last_seen))
        .bind(i64::try_from(rhythm.interval.as_millis()).unwrap_or(i64::MAX))
        .bind(i64::from(rhythm.intervals))
        .bind(conflict.since.map(ms))
        .bind(hardware.map(|hardware| hardware.family.name()))
        .bind(hardware.and_then(|hardware| hardware.chip_size).map(stored))
        .bind(conflict.other_digest.map(|digest| digest.to_string()))
        .bind(i64::from(conflict.flips))
        .bind(conflict.flips_since.map(ms))
        .bind(strays.last.map(ms))
        .bind(strays.before.map(ms))
        .bind(device.family.name())
        .bind(device.chip.map(|known| known.chip.name()))
        .bind(device.chip.map(|known| known.from.name()))
        .bind(device.gzip.name())
        .execute(tx)
        .await?;
    Ok(())
}

/// A family by its name.
pub(super) fn family(name: String) -> Result<Family> {
    [Family::Esp8266, Family::Esp32]
        .into_iter()
        .find(|family| family.name() == name)
        .ok_or_else(|| corrupt("devices.family", name))
}
