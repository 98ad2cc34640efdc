-- Times are microseconds since 1970 by the tenant's own clock, spans are microseconds.

CREATE TABLE tenants (
  number INTEGER PRIMARY KEY AUTOINCREMENT,  -- the first is the sandbox's own
  id TEXT NOT NULL UNIQUE,
  environment TEXT NOT NULL,
  client_id TEXT NOT NULL,
  client_secret TEXT NOT NULL,
  owner_id TEXT NOT NULL,
  variants TEXT NOT NULL,  -- JSON
  stepped INTEGER NOT NULL DEFAULT 0,  -- how far its clock was stepped
  ran INTEGER NOT NULL DEFAULT 0,  -- how long its retries have run in real time
  UNIQUE (environment, client_id)
);

CREATE TABLE tokens (
  token TEXT PRIMARY KEY,
  tenant INTEGER NOT NULL REFERENCES tenants ON DELETE CASCADE,
  valid_until INTEGER NOT NULL  -- real time
) WITHOUT ROWID;
CREATE INDEX tokens_of_tenant ON tokens (tenant);

CREATE TABLE subscriptions (
  number INTEGER PRIMARY KEY AUTOINCREMENT,
  id TEXT NOT NULL UNIQUE,
  tenant INTEGER NOT NULL REFERENCES tenants ON DELETE CASCADE,
  active INTEGER NOT NULL,
  events TEXT NOT NULL,  -- JSON
  url TEXT NOT NULL,
  secret TEXT,
  header TEXT,
  created_at INTEGER NOT NULL,
  updated_at INTEGER NOT NULL
);
CREATE INDEX subscriptions_of_tenant ON subscriptions (tenant);

-- An event belongs to one subscription, and outlives it in the records.
CREATE TABLE events (
  number INTEGER PRIMARY KEY AUTOINCREMENT,
  id TEXT NOT NULL UNIQUE,
  tenant INTEGER NOT NULL REFERENCES tenants ON DELETE CASCADE,
  hook_id TEXT NOT NULL,
  name TEXT NOT NULL,
  body BLOB NOT NULL,
  enqueued_at INTEGER NOT NULL,
  attempts INTEGER NOT NULL DEFAULT 0,  -- made so far, of every kind
  retry INTEGER NOT NULL DEFAULT 0,  -- the number of the retry that is pending, or was the last
  due INTEGER  -- where on the tenant's schedule that retry stands; null if none is pending
);
CREATE INDEX events_of_tenant ON events (tenant);
CREATE INDEX events_of_hook ON events (hook_id);
CREATE INDEX events_due ON events (tenant, due) WHERE due IS NOT NULL;

CREATE TABLE attempts (
  number INTEGER PRIMARY KEY AUTOINCREMENT,  -- in the order in which they began
  tenant INTEGER NOT NULL REFERENCES tenants ON DELETE CASCADE,
  event INTEGER NOT NULL REFERENCES events ON DELETE CASCADE,
  hook_id TEXT NOT NULL,
  delivery_id TEXT NOT NULL,
  ordinal INTEGER NOT NULL,  -- of the event's attempts
  retry INTEGER,  -- null for a redelivery
  url TEXT NOT NULL,
  headers TEXT NOT NULL,  -- JSON: what was sent; no pairs if nothing was
  started_at INTEGER NOT NULL,
  finished_at INTEGER,
  status INTEGER,
  duration_ms INTEGER,
  error TEXT
);
CREATE INDEX attempts_of_tenant ON attempts (tenant);
CREATE INDEX attempts_of_hook ON attempts (hook_id);
CREATE INDEX attempts_of_event ON attempts (event);

CREATE TABLE requests (
  number INTEGER PRIMARY KEY AUTOINCREMENT,  -- in the order in which they came
  tenant INTEGER NOT NULL REFERENCES tenants ON DELETE CASCADE,
  method TEXT NOT NULL,
  path TEXT NOT NULL,
  status INTEGER,
  received_at INTEGER NOT NULL
);
CREATE INDEX requests_of_tenant ON requests (tenant);
