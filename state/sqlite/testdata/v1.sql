CREATE TABLE goose_db_version (
		id INTEGER PRIMARY KEY AUTOINCREMENT,
		version_id INTEGER NOT NULL,
		is_applied INTEGER NOT NULL,
		tstamp TIMESTAMP DEFAULT (datetime('now'))
	);
INSERT INTO goose_db_version VALUES (1, 0, 1, '2026-11-22 17:43:04');
INSERT INTO goose_db_version VALUES (2, 1, 1, '2026-11-22 17:43:04');
CREATE TABLE sealed (
    name  TEXT PRIMARY KEY,
    value BLOB NOT NULL
) STRICT, WITHOUT ROWID;
INSERT INTO sealed VALUES ('hash_key', x'011766f133c37a463dd547852f4da52b79e32eba0ffa9049d163d3aeabb8296bc1cd1ab03134af07ce8432d729125c5ae3a146b21f3e34bf8feb269fd8dd4e2e28');
CREATE TABLE pipelines (
    name      TEXT PRIMARY KEY CHECK (name <> ''),
    target    TEXT NOT NULL,
    adopting  INTEGER NOT NULL CHECK (adopting IN (0, 1)),
    opened_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
INSERT INTO pipelines VALUES ('other', 'another database', 1, 1795161600250);
INSERT INTO pipelines VALUES ('shop', 'database', 0, 1795161600250);
CREATE TABLE leases (
    pipeline TEXT PRIMARY KEY REFERENCES pipelines (name),
    holder   TEXT NOT NULL,
    fence    INTEGER NOT NULL CHECK (fence > 0),
    expires  INTEGER NOT NULL,
    os_lock  TEXT -- identity of the locked file while the holder has it locked
) STRICT, WITHOUT ROWID;
INSERT INTO leases VALUES ('shop', 'host:1', 1, 1795161660250, '65024:10299591');
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
INSERT INTO checkpoints VALUES ('shop', 'customers', 1, 1795161660250, 1795161720250, 7, 1795161780250, 1795161840250, 1795161600250);
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
INSERT INTO records VALUES ('shop', 'item', 'shop-i71', 7, 'shop-c1', '', 0, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, 'unknown', 0, NULL, NULL, NULL, NULL, 0);
INSERT INTO records VALUES ('shop', 'item', 'shop-i72', 7, 'shop-c1', '', 0, NULL, NULL, NULL, NULL, x'01000000000000000000000000000002', NULL, NULL, NULL, 'refused', 0, NULL, NULL, NULL, NULL, 0);
INSERT INTO records VALUES ('shop', 'order', 'shop-o7', 7, 'shop-c1', '000000007', 17, x'03000000000000000000000000000004', NULL, NULL, NULL, NULL, NULL, NULL, 1795161900250, 'acknowledged', 0, NULL, NULL, 1795162320250, 1795162380250, 1);
INSERT INTO records VALUES ('shop', 'profile', 'shop-c1', 1, '', '', 11, x'01000000000000000000000000000002', x'03000000000000000000000000000004', x'01000000000000000000000000000002', NULL, x'03000000000000000000000000000004', 1795162860250, 1795162980250, 1795161900250, 'acknowledged', 3, 1795161960250, 1795162020250, 1795162320250, 1795162380250, 1);
INSERT INTO records VALUES ('shop', 'profile', 'shop-c2', 0, '', '', 0, NULL, NULL, NULL, x'01000000000000000000000000000002', NULL, NULL, NULL, NULL, 'planned', 0, NULL, NULL, NULL, NULL, 0);
INSERT INTO records VALUES ('shop', 'profile', 'shop-c3', 0, '', '', 0, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, 'removed', 0, NULL, NULL, NULL, NULL, 0);
INSERT INTO records VALUES ('shop', 'profile', 'shop-g5', 0, 'shop-c1', '', 15, x'03000000000000000000000000000004', NULL, NULL, NULL, NULL, NULL, NULL, NULL, 'claimed', 0, NULL, NULL, NULL, NULL, 0);
CREATE TABLE emails (
    pipeline TEXT NOT NULL REFERENCES pipelines (name),
    key      TEXT NOT NULL CHECK (key <> ''),
    hash     BLOB CHECK (length(hash) = 16),
    website  INTEGER NOT NULL,
    claims   INTEGER NOT NULL CHECK (claims IN (0, 1)),
    PRIMARY KEY (pipeline, key)
) STRICT, WITHOUT ROWID;
INSERT INTO emails VALUES ('shop', 'shop-c1', x'01000000000000000000000000000002', 2, 1);
INSERT INTO emails VALUES ('shop', 'shop-g5', x'01000000000000000000000000000002', 2, 0);
CREATE TABLE tombstones (
    pipeline TEXT NOT NULL REFERENCES pipelines (name),
    person   BLOB NOT NULL CHECK (length(person) = 16),
    at       INTEGER NOT NULL,
    taken_at INTEGER, -- when it was taken up from outside the state, as long as no receipt tells of it
    PRIMARY KEY (pipeline, person)
) STRICT, WITHOUT ROWID;
INSERT INTO tombstones VALUES ('shop', x'03000000000000000000000000000004', 1795162740250, NULL);
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
INSERT INTO erasures VALUES (1, 'shop', 'shop-c3', 'deleted', 'remove', 13, 2, 5, 1795162800250, 1);
CREATE TABLE opt_outs (
    id         INTEGER PRIMARY KEY AUTOINCREMENT,
    pipeline   TEXT NOT NULL REFERENCES pipelines (name),
    key        TEXT NOT NULL CHECK (key <> ''),
    source     TEXT NOT NULL,
    at         INTEGER,
    settled_at INTEGER NOT NULL
) STRICT;
CREATE TABLE doubles (
    pipeline     TEXT NOT NULL REFERENCES pipelines (name),
    entity       TEXT NOT NULL CHECK (entity <> ''),
    key          TEXT NOT NULL CHECK (key <> ''),
    copernica_id INTEGER NOT NULL,
    seen_at      INTEGER NOT NULL,
    consent      BLOB CHECK (length(consent) = 16),
    PRIMARY KEY (pipeline, entity, key, copernica_id)
) STRICT, WITHOUT ROWID;
INSERT INTO doubles VALUES ('shop', 'profile', 'shop-c1', 16, 1795162920250, x'01000000000000000000000000000002');
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
INSERT INTO runs VALUES (1, 'shop', 'customers', 'host:1', 1, 1795162080250, 1795162140250, 'failed', 'it''s over', '{"read":1,"unchanged":2,"created":0,"updated":0,"removed":0,"refused":0,"unknown":0,"opt_outs_kept":0,"missing":0,"opt_outs_returned":0,"claimed":0,"erased":0,"ownerless":3,"magento_calls":0,"copernica_calls":9}');
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
INSERT INTO dead_letters VALUES (1, 'shop', 'customers', 'profile', 'shop-c4', 4, 'too_long', '%1 is too long', 'shorten it', x'03000000000000000000000000000004', 1, 2, 1795162200250, 1795162260250, NULL, '');
CREATE TABLE record_counts (
    pipeline TEXT NOT NULL,
    entity   TEXT NOT NULL,
    state    TEXT NOT NULL,
    rows     INTEGER NOT NULL,
    PRIMARY KEY (pipeline, entity, state)
) STRICT, WITHOUT ROWID;
INSERT INTO record_counts VALUES ('shop', 'item', 'refused', 1);
INSERT INTO record_counts VALUES ('shop', 'item', 'unknown', 1);
INSERT INTO record_counts VALUES ('shop', 'order', 'acknowledged', 1);
INSERT INTO record_counts VALUES ('shop', 'profile', 'acknowledged', 1);
INSERT INTO record_counts VALUES ('shop', 'profile', 'claimed', 1);
INSERT INTO record_counts VALUES ('shop', 'profile', 'planned', 1);
INSERT INTO record_counts VALUES ('shop', 'profile', 'removed', 1);
CREATE TABLE marks (
    name TEXT PRIMARY KEY CHECK (name <> ''),
    at   INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
INSERT INTO marks VALUES ('census', 1795162440250);
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
INSERT INTO resyncs VALUES (1, 'shop', 'customers', 1795162500250, 1795162560250, '[1,3]', '[]', 1, 1795162620250, 'done', 1795161600250);
INSERT INTO resyncs VALUES (2, 'shop', 'orders', NULL, NULL, '[]', '[7,9]', 0, 1795162680250, 'open', NULL);
CREATE INDEX records_pending ON records (pipeline, next_attempt) WHERE state IN ('planned', 'unknown');
CREATE INDEX records_missing ON records (pipeline, entity, key) WHERE state = 'missing';
CREATE INDEX records_refused ON records (pipeline, entity, key) WHERE state = 'refused';
CREATE INDEX records_by_copernica_id ON records (pipeline, entity, copernica_id) WHERE copernica_id <> 0;
CREATE INDEX records_by_source ON records (pipeline, entity, source_id);
CREATE INDEX records_by_number ON records (pipeline, number) WHERE number <> '';
CREATE INDEX records_by_parent ON records (pipeline, parent, key) WHERE entity = 'order';
CREATE INDEX records_claimed ON records (pipeline, key) WHERE entity = 'profile' AND state = 'claimed';
CREATE INDEX records_claimed_by ON records (pipeline, parent, key) WHERE entity = 'profile' AND state = 'claimed';
CREATE INDEX records_claimed_open ON records (pipeline, key) WHERE entity = 'profile' AND state = 'claimed' AND copernica_id <> 0;
CREATE INDEX records_unclaimed ON records (pipeline, key) WHERE entity = 'profile' AND parent <> '' AND state NOT IN ('claimed', 'missing', 'gone');
CREATE INDEX emails_by_hash ON emails (pipeline, hash) WHERE hash IS NOT NULL;
CREATE INDEX tombstones_taken ON tombstones (pipeline, taken_at, at) WHERE taken_at IS NOT NULL;
CREATE INDEX erasures_by_pipeline ON erasures (pipeline, id);
CREATE INDEX erasures_by_key ON erasures (pipeline, key, id);
CREATE INDEX erasures_by_policy ON erasures (pipeline, policy);
CREATE INDEX opt_outs_by_key ON opt_outs (pipeline, key, id);
CREATE INDEX opt_outs_by_source ON opt_outs (pipeline, source);
CREATE INDEX doubles_by_id ON doubles (pipeline, entity, copernica_id);
CREATE INDEX runs_by_stream ON runs (pipeline, stream, id);
CREATE INDEX runs_by_pipeline ON runs (pipeline, id);
CREATE INDEX runs_running ON runs (pipeline, fence) WHERE outcome = 'running';
CREATE UNIQUE INDEX dead_letters_open ON dead_letters (pipeline, entity, key) WHERE resolved IS NULL;
CREATE INDEX dead_letters_newest ON dead_letters (pipeline, last_seen, id) WHERE resolved IS NULL;
CREATE INDEX dead_letters_by_cause ON dead_letters (pipeline, cause, last_seen, id, first_seen, resolved) WHERE resolved IS NULL;
CREATE INDEX dead_letters_by_key ON dead_letters (pipeline, key);
CREATE TRIGGER records_inserted AFTER INSERT ON records BEGIN
    INSERT INTO record_counts (pipeline, entity, state, rows) VALUES (new.pipeline, new.entity, new.state, 1)
    ON CONFLICT DO UPDATE SET rows = rows + 1;
END;
CREATE TRIGGER records_moved AFTER UPDATE OF state ON records WHEN old.state <> new.state BEGIN
    UPDATE record_counts SET rows = rows - 1
    WHERE pipeline = old.pipeline AND entity = old.entity AND state = old.state;
    INSERT INTO record_counts (pipeline, entity, state, rows) VALUES (new.pipeline, new.entity, new.state, 1)
    ON CONFLICT DO UPDATE SET rows = rows + 1;
END;
CREATE TRIGGER records_deleted AFTER DELETE ON records BEGIN
    UPDATE record_counts SET rows = rows - 1
    WHERE pipeline = old.pipeline AND entity = old.entity AND state = old.state;
END;
CREATE INDEX resyncs_by_pipeline ON resyncs (pipeline, id);
