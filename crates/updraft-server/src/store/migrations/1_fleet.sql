-- One text for SQLite and PostgreSQL: BIGINT and TEXT only. Times are Unix milliseconds, digests
-- lower-case hex, yes is 1 and no is 0. What queries never ask for is JSON in one column.

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

-- A line of firmware. What its settings mean is not SQL's to know.
CREATE TABLE products (
    name TEXT NOT NULL PRIMARY KEY,
    settings TEXT NOT NULL,
    created BIGINT NOT NULL,
    -- Goes up with each change, for If-Match.
    edition BIGINT NOT NULL
);

-- Every image ever seen. Its file may be elsewhere (the catalog) or gone.
CREATE TABLE images (
    sha256 TEXT NOT NULL PRIMARY KEY,
    facts TEXT NOT NULL,
    size BIGINT NOT NULL,
    -- What a person calls it: the name of the file it came in.
    name TEXT NOT NULL,
    -- Its file in the folder of images.
    file TEXT UNIQUE,
    -- When it was last uploaded or seen in the catalog.
    seen BIGINT NOT NULL
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
    version_key TEXT NOT NULL,
    notes TEXT NOT NULL,
    published BIGINT NOT NULL,
    yanked BIGINT,
    yanked_why TEXT NOT NULL,
    UNIQUE (product, version)
);
CREATE TABLE release_images (
    release BIGINT NOT NULL REFERENCES releases (id),
    image TEXT NOT NULL REFERENCES images (sha256),
    PRIMARY KEY (release, image)
);
CREATE INDEX release_images_by_image ON release_images (image);

CREATE TABLE channels (
    product TEXT NOT NULL REFERENCES products (name),
    name TEXT NOT NULL,
    release BIGINT REFERENCES releases (id),
    moved BIGINT NOT NULL,
    edition BIGINT NOT NULL,
    PRIMARY KEY (product, name)
);

CREATE TABLE devices (
    id BIGINT NOT NULL PRIMARY KEY,
    mac TEXT UNIQUE,
    chip_id BIGINT,
    family TEXT NOT NULL,
    state TEXT NOT NULL,
    name TEXT UNIQUE,
    notes TEXT NOT NULL,
    product TEXT REFERENCES products (name),
    channel TEXT NOT NULL,
    pin BIGINT REFERENCES releases (id),
    hands_off BIGINT NOT NULL,
    -- The unknown build that a person gave up for a release.
    adopted TEXT,
    settings TEXT NOT NULL,
    -- What it said of itself last.
    version TEXT,
    sketch_md5 TEXT,
    sketch_sha256 TEXT,
    sketch_size BIGINT,
    free_space BIGINT,
    chip_size BIGINT,
    -- The digest it is known by to run: the SHA-256, else the MD5.
    running TEXT,
    address TEXT,
    first_seen BIGINT,
    last_seen BIGINT,
    -- What decisions remember of it: rhythm, flips, what was learnt.
    memory TEXT NOT NULL
);
-- Only a device without a MAC is known by its chip's number, which others may share.
CREATE UNIQUE INDEX devices_by_chip_id ON devices (chip_id) WHERE mac IS NULL;
CREATE INDEX devices_by_running ON devices (running);
CREATE INDEX devices_by_channel ON devices (product, channel);
CREATE INDEX devices_by_state ON devices (state);
CREATE INDEX devices_by_pin ON devices (pin);
CREATE TABLE device_tags (
    device BIGINT NOT NULL REFERENCES devices (id) ON DELETE CASCADE,
    tag TEXT NOT NULL,
    PRIMARY KEY (device, tag)
);
CREATE INDEX device_tags_by_tag ON device_tags (tag, device);
CREATE TABLE device_blocks (
    device BIGINT NOT NULL REFERENCES devices (id) ON DELETE CASCADE,
    release BIGINT NOT NULL REFERENCES releases (id),
    PRIMARY KEY (device, release)
);

-- One device, one kind of image, on its way to one release.
CREATE TABLE attempts (
    id BIGINT NOT NULL PRIMARY KEY,
    device BIGINT NOT NULL REFERENCES devices (id) ON DELETE CASCADE,
    kind TEXT NOT NULL,
    release BIGINT REFERENCES releases (id),
    image TEXT NOT NULL,
    form TEXT NOT NULL,
    identity TEXT NOT NULL,
    state TEXT NOT NULL,
    -- Yes until it is settled.
    open BIGINT NOT NULL,
    -- Whether it counts against the tries that a device has.
    counts BIGINT NOT NULL,
    cause TEXT NOT NULL,
    offered BIGINT NOT NULL,
    changed BIGINT NOT NULL,
    size BIGINT NOT NULL,
    acknowledged BIGINT NOT NULL,
    memory TEXT NOT NULL
);
CREATE UNIQUE INDEX attempts_open ON attempts (device, kind) WHERE open = 1;
CREATE INDEX attempts_by_device ON attempts (device, id);
CREATE INDEX attempts_by_release ON attempts (release, id);

-- API tokens: only their SHA-256 is kept, for they are 256 random bits.
CREATE TABLE tokens (
    id BIGINT NOT NULL PRIMARY KEY,
    name TEXT NOT NULL UNIQUE,
    hash TEXT NOT NULL UNIQUE,
    scopes TEXT NOT NULL,
    created BIGINT NOT NULL,
    expires BIGINT,
    used BIGINT
);

-- What was done, by whom: written with the change itself.
CREATE TABLE events (
    id BIGINT NOT NULL PRIMARY KEY,
    at BIGINT NOT NULL,
    actor TEXT NOT NULL,
    action TEXT NOT NULL,
    subject TEXT NOT NULL,
    name TEXT NOT NULL,
    details TEXT NOT NULL
);
CREATE INDEX events_by_subject ON events (subject, name, id);
