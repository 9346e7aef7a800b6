-- Times are milliseconds since 1970 UTC, NULL = never. Keyed hashes have 16 bytes, NULL = never.
-- No names, addresses, e-mails or free text stand in any table (promise 7), but for the words
-- in which an operator says why a dead letter was closed.
-- Tables that syncd owns are not read by dashboards: those get views of their own.

-- +goose Up
CREATE TABLE sealed (
    name  TEXT PRIMARY KEY,
    value BLOB NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE pipelines (
    name      TEXT PRIMARY KEY CHECK (name <> ''),
    target    TEXT NOT NULL,
    adopting  INTEGER NOT NULL CHECK (adopting IN (0, 1)),
    opened_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- A row stays when its lease is given up (holder empty): the fence only ever grows.
CREATE TABLE leases (
    pipeline TEXT PRIMARY KEY REFERENCES pipelines (name),
    holder   TEXT NOT NULL,
    fence    INTEGER NOT NULL CHECK (fence > 0),
    expires  INTEGER NOT NULL,
    os_lock  TEXT -- identity of the locked file while the holder has it locked
) STRICT, WITHOUT ROWID;

CREATE TABLE checkpoints (
    pipeline    TEXT NOT NULL REFERENCES pipelines (name),
    stream      TEXT NOT NULL CHECK (stream <> ''),
    version     INTEGER NOT NULL CHECK (version > 0),
    horizon     INTEGER,
    position_at INTEGER,
    position_id INTEGER NOT NULL,
    pass_from   INTEGER,
    target      INTEGER,
    saved_at    INTEGER NOT NULL,
    PRIMARY KEY (pipeline, stream)
) STRICT, WITHOUT ROWID;

CREATE TABLE records (
    pipeline          TEXT NOT NULL REFERENCES pipelines (name),
    entity            TEXT NOT NULL CHECK (entity <> ''),
    key               TEXT NOT NULL CHECK (key <> ''),
    source_id         INTEGER NOT NULL,
    parent            TEXT NOT NULL,
    number            TEXT NOT NULL,
    copernica_id      INTEGER NOT NULL,
    hash              BLOB CHECK (length(hash) = 16),
    consent_source    BLOB CHECK (length(consent_source) = 16),
    consent_written   BLOB CHECK (length(consent_written) = 16),
    sent      BLOB CHECK (length(sent) = 16),
    refused           BLOB CHECK (length(refused) = 16),
    unsubscribed_at   INTEGER,
    out_seen_at       INTEGER,
    source_updated_at INTEGER,
    state             TEXT NOT NULL CHECK (state IN ('planned', 'unknown', 'acknowledged', 'refused', 'removed', 'missing', 'gone', 'claimed')),
    attempts          INTEGER NOT NULL,
    planned_at        INTEGER,
    next_attempt      INTEGER,
    first_seen        INTEGER,
    acknowledged_at   INTEGER,
    run_id            INTEGER NOT NULL,
    PRIMARY KEY (pipeline, entity, key)
) STRICT, WITHOUT ROWID;

-- Few rows are open at any time, so this index stays small.
CREATE INDEX records_pending ON records (pipeline, next_attempt) WHERE state IN ('planned', 'unknown');
CREATE INDEX records_missing ON records (pipeline, entity, key) WHERE state = 'missing';
CREATE INDEX records_refused ON records (pipeline, entity, key) WHERE state = 'refused';
CREATE INDEX records_by_copernica_id ON records (pipeline, entity, copernica_id) WHERE copernica_id <> 0;
CREATE INDEX records_by_source ON records (pipeline, entity, source_id);
-- Only orders have a number.
CREATE INDEX records_by_number ON records (pipeline, number) WHERE number <> '';

-- What stands below a profile: its orders, and through them their lines.
CREATE INDEX records_by_parent ON records (pipeline, parent, key) WHERE entity = 'order';
CREATE INDEX records_claimed ON records (pipeline, key) WHERE entity = 'profile' AND state = 'claimed';
CREATE INDEX records_claimed_by ON records (pipeline, parent, key) WHERE entity = 'profile' AND state = 'claimed';
CREATE INDEX records_claimed_open ON records (pipeline, key) WHERE entity = 'profile' AND state = 'claimed' AND copernica_id <> 0;
CREATE INDEX records_unclaimed ON records (pipeline, key) WHERE entity = 'profile' AND parent <> '' AND state NOT IN ('claimed', 'missing', 'gone');

CREATE TABLE emails (
    pipeline TEXT NOT NULL REFERENCES pipelines (name),
    key      TEXT NOT NULL CHECK (key <> ''),
    hash     BLOB CHECK (length(hash) = 16),
    website  INTEGER NOT NULL,
    claims   INTEGER NOT NULL CHECK (claims IN (0, 1)),
    PRIMARY KEY (pipeline, key)
) STRICT, WITHOUT ROWID;

CREATE INDEX emails_by_hash ON emails (pipeline, hash) WHERE hash IS NOT NULL;

-- Who was erased, and when: nothing of them that is older comes back.
CREATE TABLE tombstones (
    pipeline TEXT NOT NULL REFERENCES pipelines (name),
    person   BLOB NOT NULL CHECK (length(person) = 16),
    at       INTEGER NOT NULL,
    taken_at INTEGER, -- when it was taken up from outside the state, as long as no receipt tells of it
    PRIMARY KEY (pipeline, person)
) STRICT, WITHOUT ROWID;

CREATE INDEX tombstones_taken ON tombstones (pipeline, taken_at, at) WHERE taken_at IS NOT NULL;

-- The receipts of erasures, without personal data.
CREATE TABLE erasures (
    id           INTEGER PRIMARY KEY AUTOINCREMENT,
    pipeline     TEXT NOT NULL REFERENCES pipelines (name),
    key          TEXT NOT NULL CHECK (key <> ''),
    cause        TEXT NOT NULL,
    policy       TEXT NOT NULL,
    copernica_id INTEGER NOT NULL,
    orders       INTEGER NOT NULL,
    items        INTEGER NOT NULL,
    at           INTEGER NOT NULL,
    run_id       INTEGER NOT NULL
) STRICT;

CREATE INDEX erasures_by_pipeline ON erasures (pipeline, id);
CREATE INDEX erasures_by_key ON erasures (pipeline, key, id);
CREATE INDEX erasures_by_policy ON erasures (pipeline, policy);

-- Opt-outs that were made in Copernica and settled with the shop.
CREATE TABLE opt_outs (
    id         INTEGER PRIMARY KEY AUTOINCREMENT,
    pipeline   TEXT NOT NULL REFERENCES pipelines (name),
    key        TEXT NOT NULL CHECK (key <> ''),
    source     TEXT NOT NULL,
    at         INTEGER,
    settled_at INTEGER NOT NULL
) STRICT;

CREATE INDEX opt_outs_by_key ON opt_outs (pipeline, key, id);
CREATE INDEX opt_outs_by_source ON opt_outs (pipeline, source);

-- Rows in Copernica with the key of a row of the ledger, and which are others.
CREATE TABLE doubles (
    pipeline     TEXT NOT NULL REFERENCES pipelines (name),
    entity       TEXT NOT NULL CHECK (entity <> ''),
    key          TEXT NOT NULL CHECK (key <> ''),
    copernica_id INTEGER NOT NULL,
    seen_at      INTEGER NOT NULL,
    consent      BLOB CHECK (length(consent) = 16),
    PRIMARY KEY (pipeline, entity, key, copernica_id)
) STRICT, WITHOUT ROWID;

CREATE INDEX doubles_by_id ON doubles (pipeline, entity, copernica_id);

CREATE TABLE runs (
    id       INTEGER PRIMARY KEY AUTOINCREMENT,
    pipeline TEXT NOT NULL REFERENCES pipelines (name),
    stream   TEXT NOT NULL,
    holder   TEXT NOT NULL,
    fence    INTEGER NOT NULL,
    started  INTEGER,
    ended    INTEGER,
    outcome  TEXT NOT NULL CHECK (outcome IN ('running', 'done', 'paused', 'failed', 'abandoned')),
    problem  TEXT NOT NULL,
    counters TEXT NOT NULL CHECK (json_valid(counters))
) STRICT;

CREATE INDEX runs_by_stream ON runs (pipeline, stream, id);
CREATE INDEX runs_by_pipeline ON runs (pipeline, id);
CREATE INDEX runs_running ON runs (pipeline, fence) WHERE outcome = 'running';

CREATE TABLE dead_letters (
    id         INTEGER PRIMARY KEY AUTOINCREMENT,
    pipeline   TEXT NOT NULL REFERENCES pipelines (name),
    stream     TEXT NOT NULL,
    entity     TEXT NOT NULL CHECK (entity <> ''),
    key        TEXT NOT NULL CHECK (key <> ''),
    source_id  INTEGER NOT NULL,
    cause      TEXT NOT NULL,
    message    TEXT NOT NULL,
    fix        TEXT NOT NULL,
    content    BLOB CHECK (length(content) = 16),
    run_id     INTEGER NOT NULL,
    attempts   INTEGER NOT NULL,
    first_seen INTEGER,
    last_seen  INTEGER,
    resolved   INTEGER,
    resolution TEXT NOT NULL
) STRICT;

-- At most one letter of a record is open.
CREATE UNIQUE INDEX dead_letters_open ON dead_letters (pipeline, entity, key) WHERE resolved IS NULL;
CREATE INDEX dead_letters_newest ON dead_letters (pipeline, last_seen, id) WHERE resolved IS NULL;
-- What each run counts by cause, and all that it needs for it.
CREATE INDEX dead_letters_by_cause ON dead_letters (pipeline, cause, last_seen, id, first_seen, resolved) WHERE resolved IS NULL;
CREATE INDEX dead_letters_by_key ON dead_letters (pipeline, key);

-- How many rows of the ledger stand where, kept by the database itself: counting a
-- million rows would take a second.
CREATE TABLE record_counts (
    pipeline TEXT NOT NULL,
    entity   TEXT NOT NULL,
    state    TEXT NOT NULL,
    rows     INTEGER NOT NULL,
    PRIMARY KEY (pipeline, entity, state)
) STRICT, WITHOUT ROWID;

-- +goose StatementBegin
CREATE TRIGGER records_inserted AFTER INSERT ON records BEGIN
    INSERT INTO record_counts (pipeline, entity, state, rows) VALUES (new.pipeline, new.entity, new.state, 1)
    ON CONFLICT DO UPDATE SET rows = rows + 1;
END;
-- +goose StatementEnd

-- +goose StatementBegin
CREATE TRIGGER records_moved AFTER UPDATE OF state ON records WHEN old.state <> new.state BEGIN
    UPDATE record_counts SET rows = rows - 1
    WHERE pipeline = old.pipeline AND entity = old.entity AND state = old.state;
    INSERT INTO record_counts (pipeline, entity, state, rows) VALUES (new.pipeline, new.entity, new.state, 1)
    ON CONFLICT DO UPDATE SET rows = rows + 1;
END;
-- +goose StatementEnd

-- +goose StatementBegin
CREATE TRIGGER records_deleted AFTER DELETE ON records BEGIN
    UPDATE record_counts SET rows = rows - 1
    WHERE pipeline = old.pipeline AND entity = old.entity AND state = old.state;
END;
-- +goose StatementEnd
CREATE TABLE marks (
    name TEXT PRIMARY KEY CHECK (name <> ''),
    at   INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- Requests to send records again. Lists are JSON.
CREATE TABLE resyncs (
    id       INTEGER PRIMARY KEY AUTOINCREMENT,
    pipeline TEXT NOT NULL REFERENCES pipelines (name),
    stream   TEXT NOT NULL CHECK (stream <> ''),
    since    INTEGER,
    until    INTEGER,
    stores   TEXT NOT NULL CHECK (json_valid(stores)),
    ids      TEXT NOT NULL CHECK (json_valid(ids)),
    force    INTEGER NOT NULL CHECK (force IN (0, 1)),
    created  INTEGER NOT NULL,
    state    TEXT NOT NULL CHECK (state IN ('open', 'done', 'cancelled')),
    ended    INTEGER
) STRICT;

CREATE INDEX resyncs_by_pipeline ON resyncs (pipeline, id);
