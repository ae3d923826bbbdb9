CREATE TABLE audit (
    audit_id INTEGER NOT NULL,
    at TEXT NOT NULL,
    who TEXT NOT NULL,
    action TEXT NOT NULL,
    subject TEXT NOT NULL,
    details JSON NOT NULL,
    PRIMARY KEY (audit_id)
);

CREATE INDEX audit_at ON audit (at);

CREATE TABLE generations (
    number INTEGER NOT NULL,
    file TEXT NOT NULL,
    created TEXT NOT NULL,
    retired TEXT,
    PRIMARY KEY (number)
);

CREATE TABLE instances (
    instance_id INTEGER NOT NULL,
    "SOPInstanceUID" TEXT NOT NULL,
    "SOPClassUID" TEXT NOT NULL,
    "StudyInstanceUID" TEXT NOT NULL,
    "SeriesInstanceUID" TEXT NOT NULL,
    "TransferSyntaxUID" TEXT NOT NULL,
    "PatientID" TEXT,
    "AccessionNumber" TEXT,
    "StudyDate" TEXT,
    "Modality" TEXT,
    "SeriesDescription" TEXT,
    "StudyDescription" TEXT,
    "StationName" TEXT,
    "Manufacturer" TEXT,
    "ManufacturerModelName" TEXT,
    "InstanceNumber" BIGINT,
    path TEXT NOT NULL,
    size BIGINT NOT NULL,
    sha256 TEXT NOT NULL,
    source TEXT NOT NULL,
    job_id TEXT,
    item_id BIGINT,
    received TEXT NOT NULL,
    PRIMARY KEY (instance_id),
    CONSTRAINT instances_once UNIQUE ("SOPInstanceUID", sha256)
);

CREATE INDEX instances_series ON instances ("SeriesInstanceUID");

CREATE INDEX instances_study ON instances ("StudyInstanceUID");

CREATE TABLE jobs (
    job_id TEXT NOT NULL,
    node TEXT NOT NULL,
    method TEXT NOT NULL,
    destination TEXT NOT NULL,
    user TEXT NOT NULL,
    source TEXT NOT NULL,
    state TEXT NOT NULL,
    created TEXT NOT NULL,
    started TEXT,
    finished TEXT,
    expected BIGINT NOT NULL,
    stored BIGINT NOT NULL,
    received BIGINT NOT NULL,
    bytes BIGINT NOT NULL,
    error TEXT NOT NULL,
    cancel_requested BOOLEAN NOT NULL,
    paused BOOLEAN NOT NULL,
    PRIMARY KEY (job_id)
);

CREATE INDEX jobs_created ON jobs (created);

CREATE TABLE nodes (
    node_id INTEGER NOT NULL,
    name TEXT NOT NULL,
    settings JSON NOT NULL,
    created TEXT NOT NULL,
    removed TEXT,
    PRIMARY KEY (node_id)
);

CREATE UNIQUE INDEX nodes_of_one_name ON nodes (name) WHERE removed IS NULL;

CREATE TABLE queries (
    query_id TEXT NOT NULL,
    node TEXT NOT NULL,
    level TEXT NOT NULL,
    request JSON NOT NULL,
    user TEXT NOT NULL,
    state TEXT NOT NULL,
    started TEXT NOT NULL,
    finished TEXT,
    seconds FLOAT,
    row_count BIGINT,
    coverage JSON,
    error TEXT NOT NULL,
    error_status INTEGER,
    result_file TEXT,
    settled_in INTEGER,
    PRIMARY KEY (query_id)
);

CREATE INDEX queries_fresh ON queries (settled_in, state);

CREATE INDEX queries_started ON queries (started);

CREATE TABLE schema_version (
    number INTEGER NOT NULL,
    name TEXT NOT NULL,
    applied TEXT NOT NULL,
    PRIMARY KEY (number)
);

CREATE TABLE workers (
    worker_id TEXT NOT NULL,
    host TEXT NOT NULL,
    pid BIGINT NOT NULL,
    ae_title TEXT NOT NULL,
    port INTEGER NOT NULL,
    started TEXT NOT NULL,
    heartbeat TEXT NOT NULL,
    state TEXT NOT NULL,
    PRIMARY KEY (worker_id)
);

CREATE TABLE job_items (
    item_id INTEGER NOT NULL,
    job_id TEXT NOT NULL,
    position INTEGER NOT NULL,
    level TEXT NOT NULL,
    "PatientID" TEXT NOT NULL,
    "StudyInstanceUID" TEXT NOT NULL,
    "SeriesInstanceUID" TEXT NOT NULL,
    sop_instance_uids JSON NOT NULL,
    expected_uids JSON NOT NULL,
    state TEXT NOT NULL,
    expected BIGINT,
    stored BIGINT NOT NULL,
    missing JSON NOT NULL,
    received BIGINT NOT NULL,
    bytes BIGINT NOT NULL,
    error TEXT NOT NULL,
    attempts INTEGER NOT NULL,
    worker_id TEXT,
    started TEXT,
    finished TEXT,
    PRIMARY KEY (item_id),
    FOREIGN KEY(job_id) REFERENCES jobs (job_id)
);

CREATE INDEX job_items_job ON job_items (job_id, position);

CREATE INDEX job_items_next ON job_items (job_id, state, position);

CREATE INDEX job_items_running ON job_items (worker_id) WHERE state = 'running';

CREATE INDEX job_items_sums ON job_items (job_id, state, expected, stored, received, bytes);
