-- One text for SQLite and PostgreSQL: BIGINT and TEXT only. Times are Unix milliseconds, lengths of time
-- milliseconds, digests lower-case hex, yes is 1 and no is 0.

-- Numbers given out for new rows.
CREATE TABLE series (
    name TEXT NOT NULL PRIMARY KEY,
    next BIGINT NOT NULL
);

-- Goes up with each change that a person makes: what was decided before may be decided otherwise since.
CREATE TABLE revision (
    one BIGINT NOT NULL PRIMARY KEY,
    value BIGINT NOT NULL
);
INSERT INTO revision (one, value) VALUES (1, 1);

CREATE TABLE products (
    name TEXT NOT NULL PRIMARY KEY,
    created_at BIGINT NOT NULL,
    -- JSON: no query asks for any of it.
    settings TEXT NOT NULL
);

-- Every image ever seen.
CREATE TABLE images (
    sha256 TEXT NOT NULL PRIMARY KEY,
    -- JSON, as the inspection left it.
    facts TEXT NOT NULL,
    name TEXT NOT NULL,
    stored_at BIGINT NOT NULL,
    -- When it was last uploaded: nobody collects what was just brought.
    uploaded_at BIGINT,
    -- Its file in the folder of images.
    file TEXT UNIQUE,
    in_catalog BIGINT NOT NULL,
    signed_by TEXT
);

-- What a device may report while it runs an image.
CREATE TABLE digests (
    digest TEXT NOT NULL,
    image TEXT NOT NULL REFERENCES images (sha256),
    flash_mode BIGINT,
    PRIMARY KEY (digest, image)
);
CREATE INDEX digests_by_image ON digests (image);

CREATE TABLE releases (
    id BIGINT NOT NULL PRIMARY KEY,
    product TEXT NOT NULL REFERENCES products (name),
    version TEXT NOT NULL,
    -- Sorts as the versions do, in any collation.
    sort_key TEXT NOT NULL,
    notes TEXT NOT NULL,
    published_at BIGINT NOT NULL,
    published_by TEXT NOT NULL,
    yanked_at BIGINT,
    yanked_by TEXT,
    yanked_why TEXT,
    UNIQUE (product, version)
);
CREATE TABLE release_images (
    release BIGINT NOT NULL REFERENCES releases (id),
    image TEXT NOT NULL REFERENCES images (sha256),
    part TEXT NOT NULL,
    chip TEXT,
    flash_size BIGINT,
    PRIMARY KEY (release, image)
);
CREATE INDEX release_images_by_image ON release_images (image);

CREATE TABLE channels (
    product TEXT NOT NULL REFERENCES products (name),
    name TEXT NOT NULL,
    release BIGINT REFERENCES releases (id),
    moved_at BIGINT NOT NULL,
    moved_by TEXT NOT NULL,
    PRIMARY KEY (product, name)
);

CREATE TABLE devices (
    id BIGINT NOT NULL PRIMARY KEY,
    mac TEXT UNIQUE,
    -- Of a device without a MAC only: others may share it.
    chip_id BIGINT UNIQUE,
    family TEXT NOT NULL,
    chip TEXT,
    chip_from TEXT,
    -- What people say.
    name TEXT UNIQUE,
    notes TEXT NOT NULL,
    product TEXT REFERENCES products (name),
    channel TEXT,
    pin BIGINT REFERENCES releases (id),
    admission TEXT NOT NULL,
    is_blocked BIGINT NOT NULL,
    is_hands_off BIGINT NOT NULL,
    adopted TEXT,
    gzip TEXT NOT NULL,
    filesystem_size BIGINT,
    -- Whether a person has brought it in or decided anything for it; those others are limited.
    is_vouched BIGINT NOT NULL,
    -- What it says.
    version TEXT,
    sketch_md5 TEXT,
    sketch_sha256 TEXT,
    sketch_size BIGINT,
    free_space BIGINT,
    chip_size BIGINT,
    sdk TEXT,
    flash_mode BIGINT,
    address TEXT,
    -- The digest that speaks for it: the SHA-256, else the MD5.
    running TEXT,
    -- What is made of its check-ins.
    first_seen BIGINT NOT NULL,
    last_seen BIGINT NOT NULL,
    rhythm_interval BIGINT NOT NULL,
    rhythm_intervals BIGINT NOT NULL,
    conflict_since BIGINT,
    conflict_family TEXT,
    conflict_chip_size BIGINT,
    conflict_digest TEXT,
    conflict_flips BIGINT NOT NULL,
    conflict_flips_since BIGINT,
    strayed_last BIGINT,
    strayed_before BIGINT
);
CREATE INDEX devices_by_running ON devices (running);
CREATE INDEX devices_by_channel ON devices (product, channel);
CREATE INDEX devices_by_pin ON devices (pin);
CREATE INDEX devices_unvouched ON devices (id) WHERE is_vouched = 0;
CREATE TABLE device_tags (
    device BIGINT NOT NULL REFERENCES devices (id) ON DELETE CASCADE,
    tag TEXT NOT NULL,
    PRIMARY KEY (device, tag)
);
CREATE INDEX device_tags_by_tag ON device_tags (tag, device);

-- One row for each device, part and goal: offered again, an attempt starts again and keeps its counts.
CREATE TABLE attempts (
    id BIGINT NOT NULL PRIMARY KEY,
    device BIGINT NOT NULL REFERENCES devices (id) ON DELETE CASCADE,
    part TEXT NOT NULL,
    -- The release; 0 for a file of the catalog.
    release BIGINT NOT NULL,
    image TEXT NOT NULL,
    -- What makes the goal one: the image of a file of the catalog, nothing for a release.
    file TEXT NOT NULL,
    started_from TEXT,
    started_version TEXT,
    address TEXT,
    strength TEXT NOT NULL,
    state TEXT NOT NULL,
    state_since BIGINT NOT NULL,
    -- Until it is settled.
    is_open BIGINT NOT NULL,
    cause TEXT,
    size BIGINT NOT NULL,
    acknowledged BIGINT NOT NULL,
    proof TEXT,
    opened_at BIGINT NOT NULL,
    offered_at BIGINT NOT NULL,
    running_at BIGINT,
    tries BIGINT NOT NULL,
    tried_at BIGINT,
    deaths BIGINT NOT NULL,
    died_at BIGINT,
    watch_last BIGINT,
    watch_before BIGINT,
    UNIQUE (device, part, release, file)
);
CREATE UNIQUE INDEX attempts_open ON attempts (device, part) WHERE is_open = 1;
CREATE INDEX attempts_still_open ON attempts (id) WHERE is_open = 1;
CREATE INDEX attempts_by_release ON attempts (release, state);

-- Only the SHA-256 is kept of a token: it is 256 random bits.
CREATE TABLE tokens (
    id BIGINT NOT NULL PRIMARY KEY,
    name TEXT NOT NULL,
    scopes TEXT NOT NULL,
    hash TEXT NOT NULL UNIQUE,
    created_at BIGINT NOT NULL,
    last_used_at BIGINT,
    revoked_at BIGINT
);
CREATE UNIQUE INDEX tokens_by_name ON tokens (name) WHERE revoked_at IS NULL;

-- When a server was last known to run, and the times when none did: silence then proves nothing.
CREATE TABLE heartbeat (
    one BIGINT NOT NULL PRIMARY KEY,
    at BIGINT NOT NULL
);
CREATE TABLE outages (
    began_at BIGINT NOT NULL PRIMARY KEY,
    ended_at BIGINT NOT NULL
);

-- What happened, written in the transaction in which it did.
CREATE TABLE events (
    id BIGINT NOT NULL PRIMARY KEY,
    at BIGINT NOT NULL,
    actor TEXT NOT NULL,
    actor_name TEXT,
    device BIGINT,
    product TEXT,
    channel TEXT,
    release BIGINT,
    kind TEXT NOT NULL,
    words TEXT NOT NULL
);
CREATE INDEX events_by_device ON events (device, id);
CREATE INDEX events_by_product ON events (product, id);
