-- What a run said (facts, written once), and what was derived from it (deleted and made again
-- by a rebuild). Blobs of metrics are little-endian float64 in the order of their name list.

-- Facts ------------------------------------------------------------------------------------

-- A row per start of each producer; `next_release` is the cseq that is released next.
CREATE TABLE IF NOT EXISTS producers (
    id INTEGER PRIMARY KEY,
    producer TEXT NOT NULL,
    incarnation INTEGER NOT NULL,
    started TEXT NOT NULL,
    next_release INTEGER NOT NULL DEFAULT 1,
    committed_cseq INTEGER NOT NULL DEFAULT 0,
    last_seen_ns INTEGER NOT NULL DEFAULT 0,
    lost INTEGER NOT NULL DEFAULT 0,
    status TEXT,
    reason TEXT,
    ended_at_ns INTEGER,
    UNIQUE (producer, incarnation)
);

-- Every critical message as it came: a payload of `shared.codec`.
CREATE TABLE IF NOT EXISTS records (
    origin INTEGER NOT NULL REFERENCES producers (id),
    cseq INTEGER NOT NULL,
    payload BLOB NOT NULL,
    PRIMARY KEY (origin, cseq)
) WITHOUT ROWID;

-- Every frame that arrived. state: analyzed | failed (its analysis) | undecodable.
CREATE TABLE IF NOT EXISTS frames (
    id INTEGER PRIMARY KEY,
    origin INTEGER NOT NULL REFERENCES producers (id),
    stream TEXT NOT NULL,
    fseq INTEGER NOT NULL,
    state TEXT NOT NULL,
    error TEXT,
    phase TEXT,
    phase_step INTEGER,
    name_list INTEGER,
    metrics BLOB,
    file TEXT,
    file_bytes INTEGER NOT NULL DEFAULT 0,
    UNIQUE (origin, stream, fseq)
);
CREATE INDEX IF NOT EXISTS frames_on_disk ON frames (phase, id) WHERE file IS NOT NULL;

-- Every tile of the analyzed frames.
CREATE TABLE IF NOT EXISTS samples (
    frame INTEGER NOT NULL REFERENCES frames (id),
    position INTEGER NOT NULL,
    sample TEXT NOT NULL,
    name_list INTEGER NOT NULL,
    metrics BLOB NOT NULL,
    PRIMARY KEY (frame, position)
) WITHOUT ROWID;

-- How the user's own analysis of a frame ended; its numbers are among the frame's. `analyzer` is
-- module:Class@hash, `error` null where nothing went wrong.
CREATE TABLE IF NOT EXISTS own_results (
    frame INTEGER PRIMARY KEY REFERENCES frames (id),
    analyzer TEXT NOT NULL,
    error TEXT
);

-- Attention maps of validation frames: one float32 blob a frame, `layers` names them with their
-- shapes. `maps` is null once no tile will be compared with them any more.
CREATE TABLE IF NOT EXISTS maps (
    frame INTEGER PRIMARY KEY REFERENCES frames (id),
    layers TEXT NOT NULL,
    nbytes INTEGER NOT NULL,
    maps BLOB
);

-- How alike the maps of two tiles are, kept for when the maps are gone: a function of two frames.
CREATE TABLE IF NOT EXISTS comparisons (
    frame INTEGER NOT NULL REFERENCES frames (id),
    position INTEGER NOT NULL,
    previous INTEGER NOT NULL REFERENCES frames (id),
    name_list INTEGER NOT NULL,
    metrics BLOB NOT NULL,
    PRIMARY KEY (frame, position, previous)
) WITHOUT ROWID;

-- Attention and tissue maps of validation tiles on the gates' grids, one float32 blob a tile;
-- `layout` names them with their shapes. Only of tiles that `probe_tiles` holds or may still take.
CREATE TABLE IF NOT EXISTS tile_maps (
    frame INTEGER NOT NULL REFERENCES frames (id),
    position INTEGER NOT NULL,
    layout TEXT NOT NULL,
    maps BLOB NOT NULL,
    PRIMARY KEY (frame, position)
);

CREATE TABLE IF NOT EXISTS metric_names (
    id INTEGER PRIMARY KEY,
    names TEXT NOT NULL UNIQUE
);

-- Frames that the producer gave up, as it said so.
CREATE TABLE IF NOT EXISTS drops (
    origin INTEGER NOT NULL REFERENCES producers (id),
    cseq INTEGER NOT NULL,
    stream TEXT NOT NULL,
    first_fseq INTEGER NOT NULL,
    last_fseq INTEGER NOT NULL,
    reason TEXT NOT NULL,
    PRIMARY KEY (origin, cseq)
) WITHOUT ROWID;

-- Derived ----------------------------------------------------------------------------------

-- A row per released batch; where several ranks train, also one per step, the mean over its ranks,
-- of rank -1. The rows of the run are these means, or of one rank all: `ordinal` counts those of a
-- phase that are not superseded, and is null for the rows of several ranks. `metrics` holds every
-- number of the row; the columns are there for people and SQL.
CREATE TABLE IF NOT EXISTS batches (
    release INTEGER PRIMARY KEY,
    origin INTEGER NOT NULL REFERENCES producers (id),
    cseq INTEGER NOT NULL,
    frame INTEGER REFERENCES frames (id),
    phase TEXT NOT NULL,
    ordinal INTEGER,
    superseded INTEGER NOT NULL DEFAULT 0,
    epoch INTEGER NOT NULL,
    batch_idx INTEGER NOT NULL,
    global_step INTEGER NOT NULL,
    phase_step INTEGER NOT NULL,
    rank INTEGER NOT NULL,
    timestamp REAL NOT NULL,
    batch_size INTEGER,
    loss REAL,
    mse REAL,
    ssim REAL,
    psnr REAL,
    training_time_ms REAL,
    inference_time_ms REAL,
    data_time_ms REAL,
    memory_mb REAL,
    samples INTEGER NOT NULL,
    name_list INTEGER NOT NULL,
    metrics BLOB NOT NULL
);
CREATE UNIQUE INDEX IF NOT EXISTS batches_by_phase
    ON batches (phase, ordinal) WHERE superseded = 0;
CREATE INDEX IF NOT EXISTS batches_by_epoch ON batches (epoch, release);
CREATE INDEX IF NOT EXISTS batches_by_step ON batches (phase, phase_step);
CREATE INDEX IF NOT EXISTS validation_epochs
    ON batches (rank, epoch) WHERE phase = 'val' AND superseded = 0;

-- Released validation frames of the last two epochs of each rank, as far as the maps of an epoch
-- may be kept: what the next tiles are compared with.
CREATE TABLE IF NOT EXISTS recent_frames (
    release INTEGER PRIMARY KEY REFERENCES batches (release),
    rank INTEGER NOT NULL,
    epoch INTEGER NOT NULL,
    frame INTEGER NOT NULL REFERENCES frames (id),
    nbytes INTEGER NOT NULL
);
CREATE INDEX IF NOT EXISTS recent_by_epoch ON recent_frames (rank, epoch, release);

-- The tiles of the last two validation epochs that attention is tested on: `key` is a hash of a
-- tile's id, and the lowest ones are chosen. Of a tile that comes twice it is that of the lowest
-- rank, then step, then position.
CREATE TABLE IF NOT EXISTS probe_tiles (
    epoch INTEGER NOT NULL,
    key TEXT NOT NULL,
    frame INTEGER NOT NULL REFERENCES frames (id),
    rank INTEGER NOT NULL,
    phase_step INTEGER NOT NULL,
    position INTEGER NOT NULL,
    nbytes INTEGER NOT NULL,
    PRIMARY KEY (epoch, key)
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS probes_by_frame ON probe_tiles (frame);

-- Sums, counts and extremes of the finite values of 2^level consecutive rows of a phase (by
-- ordinal), complete ones only; `lows` and `highs` are NaN where there is no such value.
CREATE TABLE IF NOT EXISTS rollups (
    phase TEXT NOT NULL,
    level INTEGER NOT NULL,
    bucket INTEGER NOT NULL,
    name_list INTEGER NOT NULL,
    sums BLOB NOT NULL,
    counts BLOB NOT NULL,
    lows BLOB NOT NULL,
    highs BLOB NOT NULL,
    PRIMARY KEY (phase, level, bucket)
);

-- Statistics of 1,024 consecutive rows of a phase (by ordinal), complete ones only. In float64:
-- `epochs` are its epochs and the rows of each; `statistics`, for each name, rows that have it,
-- its finite values, their sum, what rounding leaves of the mean, squares about it, least, largest;
-- `by_epoch` counts and sums of each epoch, null where there is only one, or too many; `kept` every
-- value of four names.
CREATE TABLE IF NOT EXISTS stretches (
    phase TEXT NOT NULL,
    stretch INTEGER NOT NULL,
    name_list INTEGER NOT NULL,
    epochs BLOB NOT NULL,
    statistics BLOB NOT NULL,
    by_epoch BLOB,
    kept BLOB NOT NULL,
    PRIMARY KEY (phase, stretch)
);

CREATE TABLE IF NOT EXISTS epochs (
    id INTEGER PRIMARY KEY,
    epoch INTEGER NOT NULL,
    global_step INTEGER NOT NULL,
    release INTEGER NOT NULL,
    ended_at_ns INTEGER NOT NULL,
    superseded INTEGER NOT NULL DEFAULT 0
);

-- Files that are due, written (done), given up (failed), or given up until the run is taken up
-- again, as the system did not take them (postponed). kind: dashboard | epoch | final | report.
CREATE TABLE IF NOT EXISTS jobs (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    kind TEXT NOT NULL,
    phase TEXT NOT NULL,
    number INTEGER NOT NULL,
    global_step INTEGER NOT NULL,
    release INTEGER NOT NULL,
    state TEXT NOT NULL DEFAULT 'due',
    file TEXT,
    error TEXT,
    UNIQUE (kind, phase, number)
);
CREATE INDEX IF NOT EXISTS jobs_due ON jobs (id) WHERE state = 'due';

-- Dashboards that are drawn, in the order in which they were finished.
CREATE TABLE IF NOT EXISTS dashboards (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    phase TEXT NOT NULL,
    number INTEGER NOT NULL,
    release INTEGER NOT NULL,
    file TEXT NOT NULL,
    UNIQUE (phase, number)
);

-- Books of each stream as of the last committed cseq. Everything up to `floor` is settled.
CREATE TABLE IF NOT EXISTS streams (
    origin INTEGER NOT NULL REFERENCES producers (id),
    stream TEXT NOT NULL,
    offered INTEGER NOT NULL DEFAULT 0,
    delivered INTEGER NOT NULL DEFAULT 0,
    dropped INTEGER NOT NULL DEFAULT 0,
    pending INTEGER NOT NULL DEFAULT 0,
    late INTEGER NOT NULL DEFAULT 0,
    floor INTEGER NOT NULL DEFAULT 0,
    PRIMARY KEY (origin, stream)
) WITHOUT ROWID;

CREATE TABLE IF NOT EXISTS drop_counts (
    origin INTEGER NOT NULL REFERENCES producers (id),
    stream TEXT NOT NULL,
    reason TEXT NOT NULL,
    frames INTEGER NOT NULL,
    PRIMARY KEY (origin, stream, reason)
) WITHOUT ROWID;

-- Episodes of alerts, in the order in which they fired; those that go on are not cleared. `moment`
-- grows from one to the next: twice the row's `release`, and one more as an epoch ended after it.
-- `step` and `at` are those of the row, `since_…` where it began, `last_…` the last bad row.
CREATE TABLE IF NOT EXISTS alerts (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    name TEXT NOT NULL,
    layer TEXT,
    phase TEXT NOT NULL,
    rank INTEGER NOT NULL,
    moment INTEGER NOT NULL,
    release INTEGER NOT NULL,
    step INTEGER NOT NULL,
    at REAL NOT NULL,
    since_step INTEGER NOT NULL,
    since_at REAL NOT NULL,
    last_step INTEGER NOT NULL,
    last_at REAL NOT NULL,
    peak REAL,
    sentence TEXT NOT NULL,
    cleared_release INTEGER,
    cleared_step INTEGER,
    cleared_at REAL
);
CREATE INDEX IF NOT EXISTS alerts_open ON alerts (name) WHERE cleared_release IS NULL;

-- What the rules of the alerts know as of a row, now and then, to go on from there.
CREATE TABLE IF NOT EXISTS alert_states (
    release INTEGER PRIMARY KEY,
    state BLOB NOT NULL
);

-- What went wrong and was contained: how often, and the last time in words.
CREATE TABLE IF NOT EXISTS failures (
    kind TEXT PRIMARY KEY,
    count INTEGER NOT NULL,
    last TEXT NOT NULL
) WITHOUT ROWID;

-- The run as a whole: run_id, status, reason, ended_at_ns; stain_choice, and stain_vectors where
-- they are estimated; alert_settings; own_analyzers (name and hash of each, in order) and own_streaks (their failures in
-- a row, by rank); rebuild_due when facts came late.
CREATE TABLE IF NOT EXISTS state (
    key TEXT PRIMARY KEY,
    value
) WITHOUT ROWID;
