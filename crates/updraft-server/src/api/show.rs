//! The fleet's values as the API shows them.

use super::wire;
use crate::catalog::image::Target;
use crate::fleet::{
    Actor, Attempt, Auth, Cause, Device, Event, Goal, Product, Release, StoredImage, Token,
};
use crate::store::devices::NEVER;

pub(super) fn token(token: Token) -> wire::Token {
    wire::Token {
        id: token.key.0,
        name: token.name,
        scopes: token.scopes.iter().map(ToString::to_string).collect(),
        created_at: token.created_at,
        last_used_at: token.last_used_at,
        revoked_at: token.revoked_at,
    }
}

pub(super) fn product(product: Product) -> wire::Product {
    let settings = product.settings;
    wire::Product {
        name: product.name.to_string(),
        created_at: product.created_at,
        settings: wire::Settings {
            unknown_devices: settings.unknown_devices.to_string(),
            unknown_build: settings.unknown_build.to_string(),
            downgrade: settings.downgrade.to_string(),
            floors: settings.floors,
            unknown_version: settings.unknown_version.to_string(),
            signing_key: settings
                .signing_key
                .map(|key| wire::SigningKey { id: key.id.0.to_string(), pem: key.pem }),
            auth: match settings.auth {
                Auth::None => wire::Auth::None,
                Auth::Basic { user, .. } => wire::Auth::Basic { user },
                Auth::PathToken { .. } => wire::Auth::PathToken,
            },
            privacy: settings.privacy.to_string(),
            gzip: settings.gzip.to_string(),
            default_channel: settings.default_channel.to_string(),
            mismatch: settings.mismatch.to_string(),
            expected_poll: settings.expected_poll.map(|poll| poll.as_secs()),
        },
    }
}

pub(super) fn image(stored: StoredImage) -> wire::Image {
    let image = stored.image;
    let (target, why_never) = match image.target {
        Target::Sketch => ("sketch", None),
        Target::Filesystem => ("filesystem", None),
        Target::Unrecognised => ("unrecognised", None),
        Target::Never(why) => ("never", Some(why.into())),
    };
    wire::Image {
        sha256: image.sha256.to_string(),
        md5: image.md5.to_string(),
        name: stored.name,
        kind: image.kind,
        target: target.to_owned(),
        why_never,
        chip: image.chip.map(|chip| chip.name().to_owned()),
        size: image.size,
        inflated: image.inflated,
        flash_size: image.flash_size,
        signed: image.signed,
        signed_by: stored.signed_by.map(|key| key.0.to_string()),
        version: image.version,
        place: stored.place.to_string(),
        stored_at: stored.stored_at,
    }
}

/// A release without its images.
pub(super) fn release(release: Release) -> wire::Release {
    wire::Release {
        id: release.key.0,
        product: release.product.to_string(),
        version: release.version,
        notes: release.notes,
        published_at: release.published_at,
        published_by: release.published_by,
        yanked: release.yanked.map(|yank| wire::Yanked {
            at: yank.at,
            by: yank.by,
            reason: yank.why,
        }),
        images: None,
    }
}

pub(super) fn device(device: Device) -> wire::Device {
    let running = device.digest().map(|digest| digest.to_string());
    let said = device.reported;
    wire::Device {
        id: device.key.0,
        identity: device.identity.to_string(),
        family: device.family.name().to_owned(),
        chip: device.chip.map(|known| known.chip.name().to_owned()),
        chip_from: device.chip.map(|known| known.from.to_string()),
        name: device.name,
        notes: device.notes,
        tags: device.tags.iter().map(ToString::to_string).collect(),
        product: device.product.map(|name| name.to_string()),
        channel: device.channel.map(|name| name.to_string()),
        pin: device.pin.map(|key| key.0),
        admission: device.admission.to_string(),
        blocked: device.is_blocked,
        hands_off: device.is_hands_off,
        adopted: device.adopted.map(|digest| digest.to_string()),
        gzip: device.gzip.to_string(),
        filesystem_size: device.filesystem_size,
        conflict_since: device.conflict.since,
        first_seen: device.first_seen,
        last_seen: Some(device.last_seen).filter(|seen| *seen != NEVER),
        interval: Some(device.rhythm.interval.as_secs()).filter(|_| device.rhythm.intervals > 0),
        reported: wire::Reported {
            version: said.version,
            running,
            sketch_size: said.sketch_size,
            free_space: said.free_space,
            chip_size: said.chip_size,
            sdk: said.sdk,
            flash_mode: said.flash_mode,
            address: said.address.map(|address| address.to_string()),
        },
    }
}

pub(super) fn attempt(attempt: &Attempt, version: Option<String>) -> wire::Attempt {
    wire::Attempt {
        id: attempt.key.0,
        part: attempt.part.to_string(),
        release: match attempt.goal {
            Goal::Release(key) => Some(key.0),
            Goal::Catalog(_) => None,
        },
        version,
        image: attempt.image.to_string(),
        state: attempt.state.to_string(),
        state_since: attempt.state_since,
        cause: attempt.cause.map(Cause::name).map(str::to_owned),
        from_version: attempt.from_version.clone(),
        size: attempt.size,
        acknowledged: attempt.acknowledged,
        opened_at: attempt.opened_at,
        offered_at: attempt.offered_at,
        tries: attempt.counts.tries,
        deaths: attempt.counts.deaths,
    }
}

pub(super) fn event(event: Event) -> wire::Event {
    let (actor, actor_name) = match event.actor {
        Actor::Server => ("server", None),
        Actor::Device => ("device", None),
        Actor::Person(name) => ("person", Some(name)),
        Actor::Token(name) => ("token", Some(name)),
    };
    wire::Event {
        id: event.key.0,
        at: event.at,
        actor: actor.to_owned(),
        actor_name,
        device: event.subject.device.map(|key| key.0),
        product: event.subject.product.map(|name| name.to_string()),
        channel: event.subject.channel.map(|name| name.to_string()),
        release: event.subject.release.map(|key| key.0),
        kind: event.kind.to_string(),
        words: event.words,
    }
}
