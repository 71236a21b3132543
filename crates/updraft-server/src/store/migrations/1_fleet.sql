-- One text for SQLite and PostgreSQL: BIGINT and TEXT only. Times are Unix milliseconds, digests
-- lower-case hex, yes is 1 and no is 0. What queries never ask for is JSON in one column.

-- Numbers given out for new rows.
CREATE TABLE series (
    name TEXT NOT NULL PRIMARY KEY,
    next BIGINT NOT NULL
);

-- A line of firmware.
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
