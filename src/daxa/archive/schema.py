"""Tables of the ledger."""

#: Each entry takes the schema one version further. Never change one that has been released; add.
MIGRATIONS = (
    """
    CREATE TABLE run (
        id INTEGER PRIMARY KEY,
        process TEXT NOT NULL,
        ident TEXT NOT NULL,
        mission TEXT NOT NULL,
        obs_id TEXT NOT NULL,
        inst TEXT,
        exp_id TEXT,
        backend TEXT NOT NULL,
        tasks TEXT NOT NULL,
        config TEXT NOT NULL,
        versions TEXT NOT NULL,
        fingerprint TEXT NOT NULL,
        status TEXT NOT NULL CHECK (status IN ('running', 'done', 'failed', 'interrupted')),
        started TEXT NOT NULL,
        ended TEXT,
        wall_s REAL,
        cpu_s REAL,
        memory_bytes INTEGER,
        timed_out INTEGER NOT NULL DEFAULT 0,
        stdout TEXT NOT NULL DEFAULT '',
        stderr TEXT NOT NULL DEFAULT '',
        extra TEXT NOT NULL DEFAULT '{}'
    );
    CREATE INDEX run_by_piece ON run (mission, process, ident, id);
    CREATE TABLE message (
        run_id INTEGER NOT NULL REFERENCES run (id) ON DELETE CASCADE,
        kind TEXT NOT NULL CHECK (kind IN ('warning', 'error')),
        originator TEXT NOT NULL,
        name TEXT NOT NULL,
        message TEXT NOT NULL
    );
    CREATE INDEX message_by_run ON message (run_id);
    CREATE TABLE output (
        run_id INTEGER NOT NULL REFERENCES run (id) ON DELETE CASCADE,
        path TEXT NOT NULL,
        sha256 TEXT NOT NULL,
        size INTEGER NOT NULL
    );
    CREATE INDEX output_by_run ON output (run_id);
    CREATE TABLE configuration (
        id INTEGER PRIMARY KEY,
        mission TEXT NOT NULL,
        process TEXT NOT NULL,
        arguments TEXT NOT NULL,
        UNIQUE (mission, process)
    );
    CREATE TABLE observation (
        mission TEXT NOT NULL,
        obs_id TEXT NOT NULL,
        summary TEXT,
        to_process TEXT,
        final_success INTEGER,
        PRIMARY KEY (mission, obs_id)
    );
    CREATE TABLE entry (
        mission TEXT NOT NULL,
        process TEXT NOT NULL,
        ident TEXT NOT NULL,
        kind TEXT NOT NULL,
        value TEXT NOT NULL,
        PRIMARY KEY (mission, process, ident, kind)
    );
    CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL);
    """,
    # What a run was made of, outputs by what they hold, and logs apart: nothing is to be read across them.
    """
    ALTER TABLE output ADD COLUMN mtime_ns INTEGER NOT NULL DEFAULT 0;
    ALTER TABLE output ADD COLUMN data TEXT NOT NULL DEFAULT '';
    CREATE TABLE input (
        run_id INTEGER NOT NULL REFERENCES run (id) ON DELETE CASCADE,
        kind TEXT NOT NULL,
        process TEXT NOT NULL,
        ident TEXT NOT NULL,
        path TEXT NOT NULL,
        data TEXT NOT NULL
    );
    CREATE INDEX input_by_run ON input (run_id);
    CREATE INDEX run_by_observation ON run (mission, obs_id, process, ident, status, id);
    CREATE TABLE log (
        run_id INTEGER PRIMARY KEY REFERENCES run (id) ON DELETE CASCADE,
        stdout TEXT NOT NULL,
        stderr TEXT NOT NULL
    );
    INSERT INTO log SELECT id, stdout, stderr FROM run WHERE stdout != '' OR stderr != '';
    UPDATE run SET stdout='', stderr='';
    CREATE TABLE checksum (
        path TEXT PRIMARY KEY,
        size INTEGER NOT NULL,
        mtime_ns INTEGER NOT NULL,
        sha256 TEXT NOT NULL
    ) WITHOUT ROWID;
    """,
    # What the tasks of a run saw under which name: enough to run them again.
    """
    ALTER TABLE run ADD COLUMN job TEXT NOT NULL DEFAULT '{}';
    """,
)
