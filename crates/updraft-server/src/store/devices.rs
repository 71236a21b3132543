//! Devices: finding them, registering them, and what people decide for them. What check-ins leave behind
//! is in `observed.rs`, imports are in `import.rs`.

use std::collections::BTreeSet;

use jiff::Timestamp;
use sqlx::AnyConnection;
use sqlx::any::AnyRow;

use super::events::{By, Happening, Note, happened};
use super::ids::Series;
use super::page::{Page, Paged};
use super::row::Columns as _;
use super::{
    Durability, Result, Store, StoreError, What, attempts, images, observed, products, releases,
};
use crate::check_in::{DeviceId, Mac};
use crate::fleet::{
    Actor, Admission, ChannelName, Conflict, Device, DeviceKey, GzipUse, Hardware, KnownChip,
    LastTwo, ProductName, ReleaseKey, Reported, Rhythm, SketchDigest, Subject, Tag,
};

/// What became of a device that nobody knew.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Registered {
    /// It is registered.
    New(DeviceKey),
    /// Another check-in of it was faster.
    Known(DeviceKey),
    /// There are too many devices that no person has vouched for.
    Full,
}

/// Which devices are asked for: those for which all of this is true.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Filter {
    /// Of this product.
    pub product: Option<ProductName>,
    /// With this tag.
    pub tag: Option<Tag>,
    /// Let in, or waiting.
    pub admission: Option<Admission>,
    /// That run this.
    pub running: Option<SketchDigest>,
}

/// One thing that a person decides for a device.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Edit {
    /// Calls it this.
    Name(Option<String>),
    /// Writes this down about it.
    Notes(String),
    /// Puts a word on it.
    Tag(Tag),
    /// Takes a word off it.
    Untag(Tag),
    /// Gives it to a product.
    Product(Option<ProductName>),
    /// Has it follow this channel.
    Channel(Option<ChannelName>),
    /// Ties it to a release of its product.
    Pin(Option<ReleaseKey>),
    /// Lets it in, or has it wait.
    Admission(Admission),
    /// Blocks it.
    Block(Switch),
    /// Has the server keep its hands off it.
    HandsOff(Switch),
    /// Gives up the unknown build that it runs.
    Adopt(Option<SketchDigest>),
    /// Says whether it may get a gzip.
    Gzip(GzipUse),
    /// Says how large its filesystem is, in bytes.
    FilesystemSize(Option<u64>),
    /// Says which chip it is.
    Chip(Option<KnownChip>),
    /// Says that it is one device after all.
    NoConflict,
    /// Forgets what went wrong before.
    Retry,
}

/// Of what is on or off.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Switch {
    /// On.
    On,
    /// Off.
    Off,
}

impl Store {
    /// One device.
    pub(crate) async fn device(&self, key: DeviceKey) -> Result<Device> {
        self.read(key, |tx, key| Box::pin(one(tx, *key))).await
    }

    /// The device that a person means: by name, by MAC in any form, or by number.
    pub(crate) async fn device_named(&self, name: &str) -> Result<DeviceKey> {
        self.read(name.to_owned(), |tx, name| Box::pin(named(tx, name))).await
    }

    /// Devices, by number.
    pub(crate) async fn devices(
        &self,
        filter: Filter,
        page: Page<DeviceKey>,
    ) -> Result<Paged<Device, DeviceKey>> {
        self.read((filter, page), |tx, (filter, page)| Box::pin(list(tx, filter, page))).await
    }

    /// Registers a device that checks in for the first time, with what happened to it. Its `key` and what
    /// only people give are not looked at. At most `most` devices may be there that nobody has vouched for.
    pub(crate) async fn register(
        &self,
        device: Device,
        happenings: Vec<Happening>,
        most: i64,
    ) -> Result<Registered> {
        let key = DeviceKey(self.id(Series::Devices).await?);
        let input = (key, device, self.numbered(happenings).await?, most);
        self.write(input, Durability::Relaxed, |tx, (key, device, happenings, most)| {
            Box::pin(register(tx, *key, device, happenings, *most))
        })
        .await
    }

    /// Changes what people decide for a device; the device as it is then.
    pub(crate) async fn edit_device(
        &self,
        key: DeviceKey,
        edits: Vec<Edit>,
        by: &By,
    ) -> Result<Device> {
        self.change(by, (key, edits), |tx, (key, edits), note| {
            Box::pin(edit_all(tx, *key, edits, note))
        })
        .await
    }

    /// Forgets a device, its attempts with it. Should it check in again, it is a new one.
    pub(crate) async fn remove_device(&self, key: DeviceKey, by: &By) -> Result<()> {
        self.change(by, key, |tx, key, note| Box::pin(remove(tx, *key, note))).await
    }
}

/// The device of this number.
pub(super) async fn one(tx: &mut AnyConnection, key: DeviceKey) -> Result<Device> {
    let query = sqlx::query("SELECT * FROM devices WHERE id = $1").bind(key.0);
    match query.fetch_optional(&mut *tx).await? {
        Some(row) => whole(tx, &row).await,
        None => Err(StoreError::missing(What::Device, key.0)),
    }
}

/// The number of a device that checks in.
pub(super) async fn key_of(tx: &mut AnyConnection, id: DeviceId) -> Result<Option<DeviceKey>> {
    let query = match id {
        DeviceId::Mac(mac) => {
            sqlx::query("SELECT id FROM devices WHERE mac = $1").bind(mac.to_string())
        }
        DeviceId::ChipId(id) => {
            sqlx::query("SELECT id FROM devices WHERE chip_id = $1").bind(i64::from(id))
        }
    };
    query.fetch_optional(tx).await?.map(|row| row.number("id").map(DeviceKey)).transpose()
}

async fn named(tx: &mut AnyConnection, name: &str) -> Result<DeviceKey> {
    let query = sqlx::query("SELECT id FROM devices WHERE name = $1").bind(name);
    if let Some(row) = query.fetch_optional(&mut *tx).await? {
        return Ok(DeviceKey(row.number("id")?));
    }
    if let Some(mac) = Mac::read(name.as_bytes())
        && let Some(key) = key_of(&mut *tx, DeviceId::Mac(mac)).await?
    {
        return Ok(key);
    }
    if let Ok(number) = name.parse::<i64>() {
        let query = sqlx::query("SELECT id FROM devices WHERE id = $1").bind(number);
        if query.fetch_optional(tx).await?.is_some() {
            return Ok(DeviceKey(number));
        }
    }
    Err(StoreError::missing(What::Device, name))
}

async fn list(
    tx: &mut AnyConnection,
    filter: &Filter,
    page: &Page<DeviceKey>,
) -> Result<Paged<Device, DeviceKey>> {
    let sql = "SELECT * FROM devices
               WHERE id > $1 AND ($2 IS NULL OR product = $2) AND ($3 IS NULL OR admission = $3)
                     AND ($4 IS NULL OR running = $4)
                     AND ($5 IS NULL OR EXISTS (SELECT 1 FROM device_tags
                                                WHERE tag = $5 AND device = devices.id))
               ORDER BY id LIMIT $6";
    let rows = sqlx::query(sql)
        .bind(page.after.map_or(0, |key| key.0))
        .bind(filter.product.as_ref().map(ProductName::as_str))
        .bind(filter.admission.map(Admission::name))
        .bind(filter.running.map(|digest| digest.to_string()))
        .bind(filter.tag.as_ref().map(Tag::as_str))
        .bind(page.rows())
        .fetch_all(&mut *tx)
        .await?;
    let mut devices = Vec::with_capacity(rows.len());
    for row in &rows {
        devices.push(whole(&mut *tx, row).await?);
    }
    Ok(page.cut(devices, |device| device.key))
}

async fn register(
    tx: &mut AnyConnection,
    key: DeviceKey,
    device: &Device,
    happenings: &[(i64, Happening)],
    most: i64,
) -> Result<Registered> {
    if let Some(known) = key_of(&mut *tx, device.identity).await? {
        return Ok(Registered::Known(known));
    }
    let sql = "SELECT id FROM devices WHERE is_vouched = 0 ORDER BY id LIMIT 1 OFFSET $1";
    let query = sqlx::query(sql).bind(most.max(1) - 1);
    if most < 1 || query.fetch_optional(&mut *tx).await?.is_some() {
        return Ok(Registered::Full);
    }
    let (mac, chip_id) = match device.identity {
        DeviceId::Mac(mac) => (Some(mac.to_string()), None),
        DeviceId::ChipId(id) => (None, Some(i64::from(id))),
    };
    let sql =
        "INSERT INTO devices (id, mac, chip_id, family, notes, product, admission, is_blocked,
                   is_hands_off, gzip, is_vouched, first_seen, last_seen, rhythm_interval,
                   rhythm_intervals, conflict_flips)
               VALUES ($1, $2, $3, $4, '', $5, $6, 0, 0, $7, 0, $8, $8, 0, 0, 0)";
    sqlx::query(sql)
        .bind(key.0)
        .bind(mac)
        .bind(chip_id)
        .bind(device.family.name())
        .bind(device.product.as_ref().map(ProductName::as_str))
        .bind(device.admission.name())
        .bind(device.gzip.name())
        .bind(device.first_seen.as_millisecond())
        .execute(&mut *tx)
        .await?;
    observed::observe(&mut *tx, &Device { key, ..device.clone() }).await?;
    let happenings: Vec<_> = happenings
        .iter()
        .cloned()
        .map(|(id, one)| {
            (id, Happening { subject: Subject { device: Some(key), ..one.subject }, ..one })
        })
        .collect();
    happened(tx, &happenings, &Actor::Device).await?;
    Ok(Registered::New(key))
}

async fn edit_all(
    tx: &mut AnyConnection,
    key: DeviceKey,
    edits: &[Edit],
    note: &Note,
) -> Result<Device> {
    let found = one(&mut *tx, key).await?;
    let mut words = Vec::with_capacity(edits.len());
    for edit in edits {
        words.push(edit_one(&mut *tx, &found, edit, note.time()).await?);
    }
    let query = sqlx::query("UPDATE devices SET is_vouched = 1 WHERE id = $1").bind(key.0);
    query.execute(&mut *tx).await?;
    let subject =
        Subject { device: Some(key), product: found.product.clone(), ..Subject::default() };
    note.write(&mut *tx, &subject, &words.join(", ")).await?;
    one(tx, key).await
}

/// Makes one change; in which words it is told.
async fn edit_one(
    tx: &mut AnyConnection,
    found: &Device,
    edit: &Edit,
    at: Timestamp,
) -> Result<String> {
    let key = found.key.0;
    let or_nothing = |text: Option<String>| text.unwrap_or_else(|| "nothing".to_owned());
    let (query, words) = match edit {
        Edit::Name(name) => (
            sqlx::query("UPDATE devices SET name = $2 WHERE id = $1").bind(key).bind(name.clone()),
            format!("named {}", or_nothing(name.clone())),
        ),
        Edit::Notes(notes) => (
            sqlx::query("UPDATE devices SET notes = $2 WHERE id = $1")
                .bind(key)
                .bind(notes.clone()),
            "notes written".to_owned(),
        ),
        Edit::Tag(tag) => (
            sqlx::query(
                "INSERT INTO device_tags (device, tag) VALUES ($1, $2)
                 ON CONFLICT (device, tag) DO NOTHING",
            )
            .bind(key)
            .bind(tag.to_string()),
            format!("tag {tag} put on"),
        ),
        Edit::Untag(tag) => (
            sqlx::query("DELETE FROM device_tags WHERE device = $1 AND tag = $2")
                .bind(key)
                .bind(tag.to_string()),
            format!("tag {tag} taken off"),
        ),
        Edit::Product(product) => {
            if let Some(product) = product {
                products::one(&mut *tx, product).await?;
            }
            let product = product.as_ref().map(ToString::to_string);
            // A pin is to a release of the former product.
            let sql = "UPDATE devices SET product = $2, pin = NULL WHERE id = $1";
            let words = format!("product is {}", or_nothing(product.clone()));
            (sqlx::query(sql).bind(key).bind(product), words)
        }
        Edit::Channel(channel) => {
            let channel = channel.as_ref().map(ToString::to_string);
            let words = match &channel {
                Some(channel) => format!("follows channel {channel}"),
                None => "follows its product's channel".to_owned(),
            };
            let sql = "UPDATE devices SET channel = $2 WHERE id = $1";
            (sqlx::query(sql).bind(key).bind(channel), words)
        }
        Edit::Pin(pin) => {
            let words = match pin {
                Some(release) => {
                    let release = releases::one(&mut *tx, *release).await?;
                    // As it is after the edits before this one.
                    let product = one(&mut *tx, found.key).await?.product;
                    if product.as_ref() != Some(&release.product) {
                        let name = format!("{} of the device's product", release.key.0);
                        return Err(StoreError::Missing { what: What::Release, name });
                    }
                    format!("pinned to {} {}", release.product, release.version)
                }
                None => "no longer pinned".to_owned(),
            };
            let sql = "UPDATE devices SET pin = $2 WHERE id = $1";
            (sqlx::query(sql).bind(key).bind(pin.map(|release| release.0)), words)
        }
        Edit::Admission(admission) => (
            sqlx::query("UPDATE devices SET admission = $2 WHERE id = $1")
                .bind(key)
                .bind(admission.name()),
            format!("admission {admission}"),
        ),
        Edit::Block(switch) => (
            sqlx::query("UPDATE devices SET is_blocked = $2 WHERE id = $1")
                .bind(key)
                .bind(i64::from(*switch == Switch::On)),
            if *switch == Switch::On { "blocked" } else { "unblocked" }.to_owned(),
        ),
        Edit::HandsOff(switch) => (
            sqlx::query("UPDATE devices SET is_hands_off = $2 WHERE id = $1")
                .bind(key)
                .bind(i64::from(*switch == Switch::On)),
            if *switch == Switch::On { "hands off" } else { "no longer hands off" }.to_owned(),
        ),
        Edit::Adopt(digest) => {
            let digest = digest.map(|digest| digest.to_string());
            let words = format!("may replace {}", or_nothing(digest.clone()));
            let sql = "UPDATE devices SET adopted = $2 WHERE id = $1";
            (sqlx::query(sql).bind(key).bind(digest), words)
        }
        Edit::Gzip(gzip) => (
            sqlx::query("UPDATE devices SET gzip = $2 WHERE id = $1").bind(key).bind(gzip.name()),
            format!("gzip {gzip}"),
        ),
        Edit::FilesystemSize(size) => (
            sqlx::query("UPDATE devices SET filesystem_size = $2 WHERE id = $1")
                .bind(key)
                .bind(size.map(super::row::stored)),
            format!("filesystem has {} bytes", or_nothing(size.map(|size| size.to_string()))),
        ),
        Edit::Chip(chip) => {
            let name = chip.map(|known| known.chip.name());
            let words = format!("chip is {}", or_nothing(name.map(str::to_owned)));
            let sql = "UPDATE devices SET chip = $2, chip_from = $3 WHERE id = $1";
            let from = chip.map(|known| known.from.name());
            (sqlx::query(sql).bind(key).bind(name).bind(from), words)
        }
        Edit::NoConflict => (
            sqlx::query(
                "UPDATE devices SET conflict_since = NULL, conflict_family = NULL,
                     conflict_chip_size = NULL, conflict_digest = NULL, conflict_flips = 0,
                     conflict_flips_since = NULL WHERE id = $1",
            )
            .bind(key),
            "is one device".to_owned(),
        ),
        Edit::Retry => {
            for attempt in attempts::of_device(&mut *tx, found.key).await? {
                attempts::put(&mut *tx, &attempt.retry(at), attempt.key).await?;
            }
            return Ok("may try again".to_owned());
        }
    };
    let name = if let Edit::Name(Some(name)) = edit { name.as_str() } else { "" };
    query.execute(tx).await.map_err(|error| StoreError::or_exists(error, What::Device, name))?;
    Ok(words)
}

async fn remove(tx: &mut AnyConnection, key: DeviceKey, note: &Note) -> Result<()> {
    let found = one(&mut *tx, key).await?;
    sqlx::query("DELETE FROM devices WHERE id = $1").bind(key.0).execute(&mut *tx).await?;
    let name = found.name.unwrap_or_else(|| found.identity.to_string());
    let subject = Subject { device: Some(key), product: found.product, ..Subject::default() };
    note.write(tx, &subject, &format!("device {name} removed")).await
}

/// A device of a whole row, with its tags.
pub(super) async fn whole(tx: &mut AnyConnection, row: &AnyRow) -> Result<Device> {
    let key = DeviceKey(row.number("id")?);
    let query = sqlx::query("SELECT tag FROM device_tags WHERE device = $1").bind(key.0);
    let tags = query.fetch_all(tx).await?;
    let tags = tags.iter().map(|row| row.parsed("tag")).collect::<Result<BTreeSet<Tag>>>()?;
    let identity = match row.maybe_text("mac")? {
        Some(mac) => DeviceId::Mac(
            Mac::read(mac.as_bytes()).ok_or_else(|| super::row::corrupt("devices.mac", mac))?,
        ),
        None => DeviceId::ChipId(row.count("chip_id")?),
    };
    let chip = releases::chip(row.maybe_text("chip")?, "devices.chip")?;
    let chip_from = row.maybe_parsed("chip_from")?;
    let digest = |column| {
        row.maybe_text(column)?.map(|text| images::sketch_digest(text, column)).transpose()
    };
    let other_family = row.maybe_text("conflict_family")?;
    Ok(Device {
        key,
        identity,
        family: observed::family(row.text("family")?)?,
        chip: chip.zip(chip_from).map(|(chip, from)| KnownChip { chip, from }),
        name: row.maybe_text("name")?,
        notes: row.text("notes")?,
        tags,
        product: row.maybe_parsed("product")?,
        channel: row.maybe_parsed("channel")?,
        pin: row.maybe_number("pin")?.map(ReleaseKey),
        admission: row.parsed("admission")?,
        is_blocked: row.number("is_blocked")? != 0,
        is_hands_off: row.number("is_hands_off")? != 0,
        adopted: digest("adopted")?,
        gzip: row.parsed("gzip")?,
        filesystem_size: row.maybe_count("filesystem_size")?,
        reported: Reported {
            version: row.maybe_text("version")?,
            sketch_md5: row.maybe_parsed("sketch_md5")?,
            sketch_sha256: row.maybe_parsed("sketch_sha256")?,
            sketch_size: row.maybe_count("sketch_size")?,
            free_space: row.maybe_count("free_space")?,
            chip_size: row.maybe_count("chip_size")?,
            sdk: row.maybe_text("sdk")?,
            flash_mode: row.maybe_count("flash_mode")?,
            address: row.maybe_parsed("address")?,
        },
        first_seen: row.time("first_seen")?,
        last_seen: row.time("last_seen")?,
        rhythm: Rhythm {
            interval: std::time::Duration::from_millis(row.count("rhythm_interval")?),
            intervals: row.count("rhythm_intervals")?,
        },
        conflict: Conflict {
            since: row.maybe_time("conflict_since")?,
            other_hardware: match other_family {
                Some(family) => Some(Hardware {
                    family: observed::family(family)?,
                    chip_size: row.maybe_count("conflict_chip_size")?,
                }),
                None => None,
            },
            other_digest: digest("conflict_digest")?,
            flips: row.count("conflict_flips")?,
            flips_since: row.maybe_time("conflict_flips_since")?,
        },
        strays: LastTwo {
            last: row.maybe_time("strayed_last")?,
            before: row.maybe_time("strayed_before")?,
        },
    })
}

/// When an imported device was last seen: never.
pub(crate) const NEVER: Timestamp = Timestamp::UNIX_EPOCH;
