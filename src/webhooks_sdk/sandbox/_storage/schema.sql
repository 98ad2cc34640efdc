-- Times are microseconds since 1970 by the tenant's clock; durations are microseconds,
-- except `duration_ms`.

CREATE TABLE tenants (
  number INTEGER PRIMARY KEY AUTOINCREMENT,  -- the first is the sandbox itself
  id TEXT NOT NULL UNIQUE,
  environment TEXT NOT NULL,
  client_id TEXT NOT NULL,
  client_secret TEXT NOT NULL,
  owner_id TEXT NOT NULL,
  variants TEXT NOT NULL,  -- JSON
  stepped INTEGER NOT NULL DEFAULT 0,  -- sum of the steps of its clock
  ran INTEGER NOT NULL DEFAULT 0,  -- real time that its retry schedule has run
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

-- An event belongs to one subscription, and is kept when that is deleted.
CREATE TABLE events (
  number INTEGER PRIMARY KEY AUTOINCREMENT,
  id TEXT NOT NULL UNIQUE,
  tenant INTEGER NOT NULL REFERENCES tenants ON DELETE CASCADE,
  hook_id TEXT NOT NULL,
  name TEXT NOT NULL,
  body BLOB NOT NULL,
  enqueued_at INTEGER NOT NULL,
  attempts INTEGER NOT NULL DEFAULT 0,  -- number of attempts so far, of any kind
  retry INTEGER NOT NULL DEFAULT 0,  -- number of the pending or last retry
  due INTEGER  -- schedule time of the pending retry; null if there is none
);
CREATE INDEX events_of_tenant ON events (tenant);
CREATE INDEX events_of_hook ON events (hook_id);
CREATE INDEX events_due ON events (tenant, due) WHERE due IS NOT NULL;

CREATE TABLE attempts (
  number INTEGER PRIMARY KEY AUTOINCREMENT,  -- in the order they started
  tenant INTEGER NOT NULL REFERENCES tenants ON DELETE CASCADE,
  event INTEGER NOT NULL REFERENCES events ON DELETE CASCADE,
  hook_id TEXT NOT NULL,
  delivery_id TEXT NOT NULL,
  ordinal INTEGER NOT NULL,  -- position among the attempts of the event, from 1
  retry INTEGER,  -- null for a redelivery
  url TEXT NOT NULL,
  headers TEXT NOT NULL,  -- JSON; empty if no request was sent
  started_at INTEGER NOT NULL,
  finished_at INTEGER,
  status INTEGER,
  duration_ms INTEGER,
  error TEXT,
  -- Of the subscriber's response; null if there was none, or it predates schema version 2.
  response_content_type TEXT,
  response_body BLOB,  -- its beginning
  response_size INTEGER  -- of the whole body, in bytes
);
CREATE INDEX attempts_of_tenant ON attempts (tenant);
CREATE INDEX attempts_of_hook ON attempts (hook_id);
CREATE INDEX attempts_of_event ON attempts (event);

CREATE TABLE requests (
  number INTEGER PRIMARY KEY AUTOINCREMENT,  -- in the order received
  tenant INTEGER NOT NULL REFERENCES tenants ON DELETE CASCADE,
  method TEXT NOT NULL,
  path TEXT NOT NULL,
  status INTEGER,
  received_at INTEGER NOT NULL
);
CREATE INDEX requests_of_tenant ON requests (tenant);
