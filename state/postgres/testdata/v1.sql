CREATE SCHEMA syncd;
-- Times are timestamptz in whole milliseconds, NULL = never. Keyed hashes have 16 bytes, NULL = never.
-- No names, addresses, e-mails or free text stand in any table (promise 7), but for the words
-- in which an operator says why a dead letter was closed.
-- Tables belong to syncd and change with it; dashboards read the views, whose columns stay.
-- Names sort by their bytes (COLLATE "C"), whatever the database's own order is.

-- +goose Up
CREATE TABLE syncd.sealed (
    name  text PRIMARY KEY,
    value bytea NOT NULL
);

-- Each transaction that writes leaves its token here, so that one whose COMMIT was not
-- answered can be asked for. A token that is asked for first is void: it never commits.
CREATE TABLE syncd.commits (
    token bytea PRIMARY KEY CHECK (octet_length(token) = 16),
    done  boolean NOT NULL,
    at    timestamptz NOT NULL DEFAULT clock_timestamp()
);

CREATE TABLE syncd.pipelines (
    name      text COLLATE "C" PRIMARY KEY CHECK (name <> ''),
    target    text NOT NULL,
    adopting  boolean NOT NULL,
    opened_at timestamptz NOT NULL
);

-- A row stands from the pipeline's first opening on (fence 0, holder empty): whoever
-- writes locks it first. The fence only ever grows.
CREATE TABLE syncd.leases (
    pipeline text COLLATE "C" PRIMARY KEY REFERENCES syncd.pipelines (name),
    holder   text NOT NULL,
    fence    bigint NOT NULL CHECK (fence >= 0),
    expires  timestamptz
) WITH (fillfactor = 50);

CREATE TABLE syncd.checkpoints (
    pipeline    text COLLATE "C" NOT NULL REFERENCES syncd.pipelines (name),
    stream      text COLLATE "C" NOT NULL CHECK (stream <> ''),
    version     bigint NOT NULL CHECK (version > 0),
    horizon     timestamptz,
    position_at timestamptz,
    position_id bigint NOT NULL,
    pass_from   timestamptz,
    target      timestamptz,
    saved_at    timestamptz NOT NULL,
    PRIMARY KEY (pipeline, stream)
) WITH (fillfactor = 50);

-- No foreign key: rows are only written under a lease, and that has one.
CREATE TABLE syncd.records (
    pipeline          text COLLATE "C" NOT NULL,
    entity            text COLLATE "C" NOT NULL CHECK (entity <> ''),
    key               text COLLATE "C" NOT NULL CHECK (key <> ''),
    source_id         bigint NOT NULL,
    parent            text COLLATE "C" NOT NULL,
    number            text COLLATE "C" NOT NULL,
    copernica_id      bigint NOT NULL,
    hash              bytea CHECK (octet_length(hash) = 16),
    consent_source    bytea CHECK (octet_length(consent_source) = 16),
    consent_written   bytea CHECK (octet_length(consent_written) = 16),
    sent      bytea CHECK (octet_length(sent) = 16),
    refused           bytea CHECK (octet_length(refused) = 16),
    unsubscribed_at   timestamptz,
    out_seen_at       timestamptz,
    source_updated_at timestamptz,
    state             text NOT NULL CHECK (state IN ('planned', 'unknown', 'acknowledged', 'refused', 'removed', 'missing', 'gone', 'claimed')),
    attempts          bigint NOT NULL,
    planned_at        timestamptz,
    next_attempt      timestamptz,
    first_seen        timestamptz,
    acknowledged_at   timestamptz,
    run_id            bigint NOT NULL,
    PRIMARY KEY (pipeline, entity, key)
);

-- Few rows are open at any time, so this index stays small.
CREATE INDEX records_pending ON syncd.records (pipeline, next_attempt) WHERE state IN ('planned', 'unknown');
CREATE INDEX records_missing ON syncd.records (pipeline, entity, key) WHERE state = 'missing';
CREATE INDEX records_refused ON syncd.records (pipeline, entity, key) WHERE state = 'refused';
CREATE INDEX records_by_copernica_id ON syncd.records (pipeline, entity, copernica_id) WHERE copernica_id <> 0;
-- What is asked for stands first, so that a server which has not counted the rows yet never
-- takes this index for that of the keys.
CREATE INDEX records_by_source ON syncd.records (source_id, pipeline, entity);
-- Only orders have a number.
CREATE INDEX records_by_number ON syncd.records (number, pipeline) WHERE number <> '';

-- What stands below a profile: its orders, and through them their lines.
CREATE INDEX records_by_parent ON syncd.records (parent, pipeline, key) WHERE entity = 'order';
CREATE INDEX records_claimed ON syncd.records (pipeline, key) WHERE entity = 'profile' AND state = 'claimed';
CREATE INDEX records_claimed_by ON syncd.records (parent, pipeline, key) WHERE entity = 'profile' AND state = 'claimed';
CREATE INDEX records_claimed_open ON syncd.records (pipeline, key) WHERE entity = 'profile' AND state = 'claimed' AND copernica_id <> 0;
CREATE INDEX records_unclaimed ON syncd.records (pipeline, key) WHERE entity = 'profile' AND parent <> '' AND state NOT IN ('claimed', 'missing', 'gone');

CREATE TABLE syncd.emails (
    pipeline text COLLATE "C" NOT NULL,
    key      text COLLATE "C" NOT NULL CHECK (key <> ''),
    hash     bytea CHECK (octet_length(hash) = 16),
    website  bigint NOT NULL,
    claims   boolean NOT NULL,
    PRIMARY KEY (pipeline, key)
);

CREATE INDEX emails_by_hash ON syncd.emails (pipeline, hash) WHERE hash IS NOT NULL;

-- Who was erased, and when: nothing of them that is older comes back.
CREATE TABLE syncd.tombstones (
    pipeline text COLLATE "C" NOT NULL REFERENCES syncd.pipelines (name),
    person   bytea NOT NULL CHECK (octet_length(person) = 16),
    at       timestamptz NOT NULL,
    taken_at timestamptz, -- when it was taken up from outside the state, as long as no receipt tells of it
    PRIMARY KEY (pipeline, person)
);

CREATE INDEX tombstones_taken ON syncd.tombstones (pipeline, taken_at, at) WHERE taken_at IS NOT NULL;

-- The receipts of erasures, without personal data.
CREATE TABLE syncd.erasures (
    id           bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    pipeline     text COLLATE "C" NOT NULL REFERENCES syncd.pipelines (name),
    key          text COLLATE "C" NOT NULL CHECK (key <> ''),
    cause        text NOT NULL,
    policy       text NOT NULL,
    copernica_id bigint NOT NULL,
    orders       bigint NOT NULL,
    items        bigint NOT NULL,
    at           timestamptz NOT NULL,
    run_id       bigint NOT NULL
);

CREATE INDEX erasures_by_pipeline ON syncd.erasures (pipeline, id);
CREATE INDEX erasures_by_key ON syncd.erasures (pipeline, key, id);
CREATE INDEX erasures_by_policy ON syncd.erasures (pipeline, policy);

-- Opt-outs that were made in Copernica and settled with the shop.
CREATE TABLE syncd.opt_outs (
    id         bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    pipeline   text COLLATE "C" NOT NULL REFERENCES syncd.pipelines (name),
    key        text COLLATE "C" NOT NULL CHECK (key <> ''),
    source     text NOT NULL,
    at         timestamptz,
    settled_at timestamptz NOT NULL
);

CREATE INDEX opt_outs_by_key ON syncd.opt_outs (pipeline, key, id);
CREATE INDEX opt_outs_by_source ON syncd.opt_outs (pipeline, source);

-- Rows in Copernica with the key of a row of the ledger, and which are others.
CREATE TABLE syncd.doubles (
    pipeline     text COLLATE "C" NOT NULL REFERENCES syncd.pipelines (name),
    entity       text COLLATE "C" NOT NULL CHECK (entity <> ''),
    key          text COLLATE "C" NOT NULL CHECK (key <> ''),
    copernica_id bigint NOT NULL,
    seen_at      timestamptz NOT NULL,
    consent      bytea CHECK (octet_length(consent) = 16),
    PRIMARY KEY (pipeline, entity, key, copernica_id)
);

CREATE INDEX doubles_by_id ON syncd.doubles (pipeline, entity, copernica_id);

CREATE TABLE syncd.runs (
    id       bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    pipeline text COLLATE "C" NOT NULL REFERENCES syncd.pipelines (name),
    stream   text COLLATE "C" NOT NULL,
    holder   text NOT NULL,
    fence    bigint NOT NULL,
    started  timestamptz,
    ended    timestamptz,
    outcome  text NOT NULL CHECK (outcome IN ('running', 'done', 'paused', 'failed', 'abandoned')),
    problem  text NOT NULL,
    counters jsonb NOT NULL
);

CREATE INDEX runs_by_stream ON syncd.runs (pipeline, stream, id);
CREATE INDEX runs_by_pipeline ON syncd.runs (pipeline, id);
CREATE INDEX runs_running ON syncd.runs (pipeline, fence) WHERE outcome = 'running';

CREATE TABLE syncd.dead_letters (
    id         bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    pipeline   text COLLATE "C" NOT NULL REFERENCES syncd.pipelines (name),
    stream     text COLLATE "C" NOT NULL,
    entity     text COLLATE "C" NOT NULL CHECK (entity <> ''),
    key        text COLLATE "C" NOT NULL CHECK (key <> ''),
    source_id  bigint NOT NULL,
    cause      text COLLATE "C" NOT NULL,
    message    text NOT NULL,
    fix        text NOT NULL,
    content    bytea CHECK (octet_length(content) = 16),
    run_id     bigint NOT NULL,
    attempts   bigint NOT NULL,
    first_seen timestamptz,
    last_seen  timestamptz,
    resolved   timestamptz,
    resolution text NOT NULL
);

-- At most one letter of a record is open.
CREATE UNIQUE INDEX dead_letters_open ON syncd.dead_letters (pipeline, entity, key) WHERE resolved IS NULL;
CREATE INDEX dead_letters_newest ON syncd.dead_letters (pipeline, last_seen, id) WHERE resolved IS NULL;
-- What each run counts by cause, and all that it needs for it.
CREATE INDEX dead_letters_by_cause ON syncd.dead_letters (pipeline, cause, last_seen, id, first_seen) WHERE resolved IS NULL;
CREATE INDEX dead_letters_by_key ON syncd.dead_letters (pipeline, key);

CREATE TABLE syncd.marks (
    name text COLLATE "C" PRIMARY KEY CHECK (name <> ''),
    at   timestamptz NOT NULL
);

-- Requests to send records again.
CREATE TABLE syncd.resyncs (
    id       bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    pipeline text COLLATE "C" NOT NULL REFERENCES syncd.pipelines (name),
    stream   text COLLATE "C" NOT NULL CHECK (stream <> ''),
    since    timestamptz,
    until    timestamptz,
    stores   bigint[] NOT NULL,
    ids      bigint[] NOT NULL,
    force    boolean NOT NULL,
    created  timestamptz NOT NULL,
    state    text NOT NULL CHECK (state IN ('open', 'done', 'cancelled')),
    ended    timestamptz
);

CREATE INDEX resyncs_by_pipeline ON syncd.resyncs (pipeline, id);

-- How many rows of the ledger stand where, kept by the database itself: counting a
-- million rows would take a second.
CREATE TABLE syncd.record_counts (
    pipeline text COLLATE "C" NOT NULL,
    entity   text COLLATE "C" NOT NULL,
    state    text NOT NULL,
    rows     bigint NOT NULL,
    PRIMARY KEY (pipeline, entity, state)
) WITH (fillfactor = 50);

-- The triggers count once a statement, not once a row.

-- +goose StatementBegin
CREATE FUNCTION syncd.count_inserted() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO syncd.record_counts AS c (pipeline, entity, state, rows)
    SELECT pipeline, entity, state, count(*) FROM fresh GROUP BY pipeline, entity, state
    ON CONFLICT (pipeline, entity, state) DO UPDATE SET rows = c.rows + excluded.rows;
    RETURN NULL;
END $$;
-- +goose StatementEnd

-- +goose StatementBegin
CREATE FUNCTION syncd.count_moved() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO syncd.record_counts AS c (pipeline, entity, state, rows)
    SELECT pipeline, entity, state, sum(n) FROM (
        SELECT pipeline, entity, state, count(*) AS n FROM fresh GROUP BY pipeline, entity, state
        UNION ALL
        SELECT pipeline, entity, state, -count(*) FROM stale GROUP BY pipeline, entity, state
    ) AS moves
    GROUP BY pipeline, entity, state HAVING sum(n) <> 0
    ON CONFLICT (pipeline, entity, state) DO UPDATE SET rows = c.rows + excluded.rows;
    RETURN NULL;
END $$;
-- +goose StatementEnd

-- +goose StatementBegin
CREATE FUNCTION syncd.count_deleted() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    UPDATE syncd.record_counts AS c SET rows = c.rows - s.n
    FROM (SELECT pipeline, entity, state, count(*) AS n FROM stale GROUP BY pipeline, entity, state) AS s
    WHERE (c.pipeline, c.entity, c.state) = (s.pipeline, s.entity, s.state);
    RETURN NULL;
END $$;
-- +goose StatementEnd

CREATE TRIGGER records_inserted AFTER INSERT ON syncd.records
    REFERENCING NEW TABLE AS fresh FOR EACH STATEMENT EXECUTE FUNCTION syncd.count_inserted();
CREATE TRIGGER records_moved AFTER UPDATE ON syncd.records
    REFERENCING OLD TABLE AS stale NEW TABLE AS fresh FOR EACH STATEMENT EXECUTE FUNCTION syncd.count_moved();
CREATE TRIGGER records_deleted AFTER DELETE ON syncd.records
    REFERENCING OLD TABLE AS stale FOR EACH STATEMENT EXECUTE FUNCTION syncd.count_deleted();

-- The views are what docs/postgres.md promises to whoever reads the state from outside.

CREATE VIEW syncd.syncd_checkpoints AS
SELECT pipeline, stream, horizon,
    greatest(0, extract(epoch FROM clock_timestamp() - horizon))::double precision AS lag_seconds,
    target IS NOT NULL AS pass_open, pass_from, target AS pass_target, position_at, position_id, version, saved_at
FROM syncd.checkpoints;

CREATE VIEW syncd.syncd_runs AS
SELECT id, pipeline, stream, holder, started, ended, outcome, problem,
    extract(epoch FROM coalesce(ended, clock_timestamp()) - started)::double precision AS seconds,
    coalesce((counters ->> 'read')::bigint, 0) AS read,
    coalesce((counters ->> 'unchanged')::bigint, 0) AS unchanged,
    coalesce((counters ->> 'created')::bigint, 0) AS created,
    coalesce((counters ->> 'updated')::bigint, 0) AS updated,
    coalesce((counters ->> 'removed')::bigint, 0) AS removed,
    coalesce((counters ->> 'missing')::bigint, 0) AS missing,
    coalesce((counters ->> 'refused')::bigint, 0) AS refused,
    coalesce((counters ->> 'unknown')::bigint, 0) AS unknown,
    coalesce((counters ->> 'opt_outs_kept')::bigint, 0) AS opt_outs_kept,
    coalesce((counters ->> 'claimed')::bigint, 0) AS claimed,
    coalesce((counters ->> 'erased')::bigint, 0) AS erased,
    coalesce((counters ->> 'ownerless')::bigint, 0) AS ownerless,
    coalesce((counters ->> 'magento_calls')::bigint, 0) AS magento_calls,
    coalesce((counters ->> 'copernica_calls')::bigint, 0) AS copernica_calls,
    counters
FROM syncd.runs;

CREATE VIEW syncd.syncd_dead_letters AS
SELECT id, pipeline, stream, entity, key, source_id, cause, message, fix, run_id, attempts,
    first_seen, last_seen, resolved, resolution
FROM syncd.dead_letters;

CREATE VIEW syncd.syncd_records AS
SELECT pipeline, entity, state, rows FROM syncd.record_counts WHERE rows > 0;
CREATE TABLE syncd.goose_db_version (id integer PRIMARY KEY GENERATED BY DEFAULT AS IDENTITY, version_id bigint NOT NULL, is_applied boolean NOT NULL, tstamp timestamp NOT NULL DEFAULT now());
INSERT INTO syncd.goose_db_version OVERRIDING SYSTEM VALUE SELECT * FROM jsonb_populate_record(NULL::syncd.goose_db_version, '{"id": 1, "tstamp": "2026-11-22T17:43:09.627794", "is_applied": true, "version_id": 0}');
INSERT INTO syncd.goose_db_version OVERRIDING SYSTEM VALUE SELECT * FROM jsonb_populate_record(NULL::syncd.goose_db_version, '{"id": 2, "tstamp": "2026-11-22T17:43:09.640005", "is_applied": true, "version_id": 1}');
INSERT INTO syncd.sealed OVERRIDING SYSTEM VALUE SELECT * FROM jsonb_populate_record(NULL::syncd.sealed, '{"name": "hash_key", "value": "\\x011766f133e40e6231df81b4b1896495f04c714c76bd214d08f9f0d7960bd8791c3c9f9f8a6aaf4d976517c2dc125e07205e4824da64f5850d71bfddf75597a962"}');
INSERT INTO syncd.pipelines OVERRIDING SYSTEM VALUE SELECT * FROM jsonb_populate_record(NULL::syncd.pipelines, '{"name": "other", "target": "another database", "adopting": true, "opened_at": "2026-11-20T08:00:00.25+00:00"}');
INSERT INTO syncd.pipelines OVERRIDING SYSTEM VALUE SELECT * FROM jsonb_populate_record(NULL::syncd.pipelines, '{"name": "shop", "target": "database", "adopting": false, "opened_at": "2026-11-20T08:00:00.25+00:00"}');
INSERT INTO syncd.leases OVERRIDING SYSTEM VALUE SELECT * FROM jsonb_populate_record(NULL::syncd.leases, '{"fence": 0, "holder": "", "expires": null, "pipeline": "other"}');
INSERT INTO syncd.leases OVERRIDING SYSTEM VALUE SELECT * FROM jsonb_populate_record(NULL::syncd.leases, '{"fence": 1, "holder": "host:1", "expires": "2026-11-20T08:01:00.25+00:00", "pipeline": "shop"}');
INSERT INTO syncd.checkpoints OVERRIDING SYSTEM VALUE SELECT * FROM jsonb_populate_record(NULL::syncd.checkpoints, '{"stream": "customers", "target": "2026-11-20T08:04:00.25+00:00", "horizon": "2026-11-20T08:01:00.25+00:00", "version": 1, "pipeline": "shop", "saved_at": "2026-11-20T08:00:00.25+00:00", "pass_from": "2026-11-20T08:03:00.25+00:00", "position_at": "2026-11-20T08:02:00.25+00:00", "position_id": 7}');
INSERT INTO syncd.records OVERRIDING SYSTEM VALUE SELECT * FROM jsonb_populate_record(NULL::syncd.records, '{"key": "shop-c1", "hash": "\\x01000000000000000000000000000002", "sent": null, "state": "acknowledged", "entity": "profile", "number": "", "parent": "", "run_id": 1, "refused": "\\x03000000000000000000000000000004", "attempts": 3, "pipeline": "shop", "source_id": 1, "first_seen": "2026-11-20T08:12:00.25+00:00", "planned_at": "2026-11-20T08:06:00.25+00:00", "out_seen_at": "2026-11-20T08:23:00.25+00:00", "copernica_id": 11, "next_attempt": "2026-11-20T08:07:00.25+00:00", "consent_source": "\\x03000000000000000000000000000004", "acknowledged_at": "2026-11-20T08:13:00.25+00:00", "consent_written": "\\x01000000000000000000000000000002", "unsubscribed_at": "2026-11-20T08:21:00.25+00:00", "source_updated_at": "2026-11-20T08:05:00.25+00:00"}');
INSERT INTO syncd.records OVERRIDING SYSTEM VALUE SELECT * FROM jsonb_populate_record(NULL::syncd.records, '{"key": "shop-c2", "hash": null, "sent": "\\x01000000000000000000000000000002", "state": "planned", "entity": "profile", "number": "", "parent": "", "run_id": 0, "refused": null, "attempts": 0, "pipeline": "shop", "source_id": 0, "first_seen": null, "planned_at": null, "out_seen_at": null, "copernica_id": 0, "next_attempt": null, "consent_source": null, "acknowledged_at": null, "consent_written": null, "unsubscribed_at": null, "source_updated_at": null}');
INSERT INTO syncd.records OVERRIDING SYSTEM VALUE SELECT * FROM jsonb_populate_record(NULL::syncd.records, '{"key": "shop-c3", "hash": null, "sent": null, "state": "removed", "entity": "profile", "number": "", "parent": "", "run_id": 0, "refused": null, "attempts": 0, "pipeline": "shop", "source_id": 0, "first_seen": null, "planned_at": null, "out_seen_at": null, "copernica_id": 0, "next_attempt": null, "consent_source": null, "acknowledged_at": null, "consent_written": null, "unsubscribed_at": null, "source_updated_at": null}');
INSERT INTO syncd.records OVERRIDING SYSTEM VALUE SELECT * FROM jsonb_populate_record(NULL::syncd.records, '{"key": "shop-g5", "hash": "\\x03000000000000000000000000000004", "sent": null, "state": "claimed", "entity": "profile", "number": "", "parent": "shop-c1", "run_id": 0, "refused": null, "attempts": 0, "pipeline": "shop", "source_id": 0, "first_seen": null, "planned_at": null, "out_seen_at": null, "copernica_id": 15, "next_attempt": null, "consent_source": null, "acknowledged_at": null, "consent_written": null, "unsubscribed_at": null, "source_updated_at": null}');
INSERT INTO syncd.records OVERRIDING SYSTEM VALUE SELECT * FROM jsonb_populate_record(NULL::syncd.records, '{"key": "shop-o7", "hash": "\\x03000000000000000000000000000004", "sent": null, "state": "acknowledged", "entity": "order", "number": "000000007", "parent": "shop-c1", "run_id": 1, "refused": null, "attempts": 0, "pipeline": "shop", "source_id": 7, "first_seen": "2026-11-20T08:12:00.25+00:00", "planned_at": null, "out_seen_at": null, "copernica_id": 17, "next_attempt": null, "consent_source": null, "acknowledged_at": "2026-11-20T08:13:00.25+00:00", "consent_written": null, "unsubscribed_at": null, "source_updated_at": "2026-11-20T08:05:00.25+00:00"}');
INSERT INTO syncd.records OVERRIDING SYSTEM VALUE SELECT * FROM jsonb_populate_record(NULL::syncd.records, '{"key": "shop-i71", "hash": null, "sent": null, "state": "unknown", "entity": "item", "number": "", "parent": "shop-c1", "run_id": 0, "refused": null, "attempts": 0, "pipeline": "shop", "source_id": 7, "first_seen": null, "planned_at": null, "out_seen_at": null, "copernica_id": 0, "next_attempt": null, "consent_source": null, "acknowledged_at": null, "consent_written": null, "unsubscribed_at": null, "source_updated_at": null}');
INSERT INTO syncd.records OVERRIDING SYSTEM VALUE SELECT * FROM jsonb_populate_record(NULL::syncd.records, '{"key": "shop-i72", "hash": null, "sent": null, "state": "refused", "entity": "item", "number": "", "parent": "shop-c1", "run_id": 0, "refused": "\\x01000000000000000000000000000002", "attempts": 0, "pipeline": "shop", "source_id": 7, "first_seen": null, "planned_at": null, "out_seen_at": null, "copernica_id": 0, "next_attempt": null, "consent_source": null, "acknowledged_at": null, "consent_written": null, "unsubscribed_at": null, "source_updated_at": null}');
INSERT INTO syncd.emails OVERRIDING SYSTEM VALUE SELECT * FROM jsonb_populate_record(NULL::syncd.emails, '{"key": "shop-c1", "hash": "\\x01000000000000000000000000000002", "claims": true, "website": 2, "pipeline": "shop"}');
INSERT INTO syncd.emails OVERRIDING SYSTEM VALUE SELECT * FROM jsonb_populate_record(NULL::syncd.emails, '{"key": "shop-g5", "hash": "\\x01000000000000000000000000000002", "claims": false, "website": 2, "pipeline": "shop"}');
INSERT INTO syncd.tombstones OVERRIDING SYSTEM VALUE SELECT * FROM jsonb_populate_record(NULL::syncd.tombstones, '{"at": "2026-11-20T08:19:00.25+00:00", "person": "\\x03000000000000000000000000000004", "pipeline": "shop", "taken_at": null}');
INSERT INTO syncd.erasures OVERRIDING SYSTEM VALUE SELECT * FROM jsonb_populate_record(NULL::syncd.erasures, '{"at": "2026-11-20T08:20:00.25+00:00", "id": 1, "key": "shop-c3", "cause": "deleted", "items": 5, "orders": 2, "policy": "remove", "run_id": 1, "pipeline": "shop", "copernica_id": 13}');
INSERT INTO syncd.doubles OVERRIDING SYSTEM VALUE SELECT * FROM jsonb_populate_record(NULL::syncd.doubles, '{"key": "shop-c1", "entity": "profile", "consent": "\\x01000000000000000000000000000002", "seen_at": "2026-11-20T08:22:00.25+00:00", "pipeline": "shop", "copernica_id": 16}');
INSERT INTO syncd.runs OVERRIDING SYSTEM VALUE SELECT * FROM jsonb_populate_record(NULL::syncd.runs, '{"id": 1, "ended": "2026-11-20T08:09:00.25+00:00", "fence": 1, "holder": "host:1", "stream": "customers", "outcome": "failed", "problem": "it''s over", "started": "2026-11-20T08:08:00.25+00:00", "counters": {"read": 1, "erased": 0, "claimed": 0, "created": 0, "missing": 0, "refused": 0, "removed": 0, "unknown": 0, "updated": 0, "ownerless": 3, "unchanged": 2, "magento_calls": 0, "opt_outs_kept": 0, "copernica_calls": 9, "opt_outs_returned": 0}, "pipeline": "shop"}');
INSERT INTO syncd.dead_letters OVERRIDING SYSTEM VALUE SELECT * FROM jsonb_populate_record(NULL::syncd.dead_letters, '{"id": 1, "fix": "shorten it", "key": "shop-c4", "cause": "too_long", "entity": "profile", "run_id": 1, "stream": "customers", "content": "\\x03000000000000000000000000000004", "message": "%1 is too long", "attempts": 2, "pipeline": "shop", "resolved": null, "last_seen": "2026-11-20T08:11:00.25+00:00", "source_id": 4, "first_seen": "2026-11-20T08:10:00.25+00:00", "resolution": ""}');
INSERT INTO syncd.resyncs OVERRIDING SYSTEM VALUE SELECT * FROM jsonb_populate_record(NULL::syncd.resyncs, '{"id": 2, "ids": [7, 9], "ended": null, "force": false, "since": null, "state": "open", "until": null, "stores": [], "stream": "orders", "created": "2026-11-20T08:18:00.25+00:00", "pipeline": "shop"}');
INSERT INTO syncd.resyncs OVERRIDING SYSTEM VALUE SELECT * FROM jsonb_populate_record(NULL::syncd.resyncs, '{"id": 1, "ids": [], "ended": "2026-11-20T08:00:00.25+00:00", "force": true, "since": "2026-11-20T08:15:00.25+00:00", "state": "done", "until": "2026-11-20T08:16:00.25+00:00", "stores": [1, 3], "stream": "customers", "created": "2026-11-20T08:17:00.25+00:00", "pipeline": "shop"}');
INSERT INTO syncd.marks OVERRIDING SYSTEM VALUE SELECT * FROM jsonb_populate_record(NULL::syncd.marks, '{"at": "2026-11-20T08:14:00.25+00:00", "name": "census"}');
