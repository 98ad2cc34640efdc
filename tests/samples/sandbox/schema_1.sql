-- A database of the first schema version, with one delivered and one failed attempt.
PRAGMA application_id = 2003331955;
PRAGMA user_version = 1;
BEGIN TRANSACTION;
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
  error TEXT
);
INSERT INTO "attempts" VALUES(1,1,1,'48d52073-831b-480c-a115-f81e73695613','18577438-fb0e-4426-a51d-c03c51aba63d',1,0,'http://127.0.0.1:40371/','[["Host", "127.0.0.1:40371"], ["User-Agent", "Hookshot"], ["Connection", "close"], ["Content-Type", "application/json"], ["Content-Length", "9"], ["X-Emperor-Event", "application_form:quoted"], ["X-Emperor-Delivery", "18577438-fb0e-4426-a51d-c03c51aba63d"], ["X-Signature", "bdefa646d0a59436980ff455fe64e77e270459ac281e7ebf0efa7d25292dd101"]]',1795775289209441,1795775289211205,200,1,NULL);
INSERT INTO "attempts" VALUES(2,1,2,'48d52073-831b-480c-a115-f81e73695613','288c19d6-eb87-4c30-9401-7d4d3db1566b',1,0,'http://127.0.0.1:40371/','[["Host", "127.0.0.1:40371"], ["User-Agent", "Hookshot"], ["Connection", "close"], ["Content-Type", "application/json"], ["Content-Length", "9"], ["X-Emperor-Event", "quote_request:failed"], ["X-Emperor-Delivery", "288c19d6-eb87-4c30-9401-7d4d3db1566b"], ["X-Signature", "1fd273f476d3525794d5c946ae586b94164f0001c1f988ff90fb18efbfce899d"]]',1795775289211850,1795775289213129,503,1,NULL);
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
INSERT INTO "events" VALUES(1,'1489b250-3411-41a3-93ab-b7fd758d9693',1,'48d52073-831b-480c-a115-f81e73695613','application_form:quoted',X'7B226964223A20317D',1795775289209175,1,0,NULL);
INSERT INTO "events" VALUES(2,'99f7be44-1fa9-45ce-a424-0e4dd7933294',1,'48d52073-831b-480c-a115-f81e73695613','quote_request:failed',X'7B226964223A20327D',1795775289211704,1,1,15000000);
CREATE TABLE requests (
  number INTEGER PRIMARY KEY AUTOINCREMENT,  -- in the order received
  tenant INTEGER NOT NULL REFERENCES tenants ON DELETE CASCADE,
  method TEXT NOT NULL,
  path TEXT NOT NULL,
  status INTEGER,
  received_at INTEGER NOT NULL
);
INSERT INTO "requests" VALUES(1,1,'POST','/auth/token',200,1795775289196335);
INSERT INTO "requests" VALUES(2,1,'POST','/hooks',201,1795775289206635);
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
INSERT INTO "subscriptions" VALUES(1,'48d52073-831b-480c-a115-f81e73695613',1,1,'["*"]','http://127.0.0.1:40371/','signing',NULL,1795775289207390,1795775289207390);
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
INSERT INTO "tenants" VALUES(1,'8923fe9e-3634-4b03-b74e-33743529a665','production','kept','kept-secret','3672297b-b71d-4b5b-98fb-eb0861e95ffc','{"create_status": 201, "unanswered": "null", "order": "newest_first", "listed": 1000, "rows": "attempts", "redelivery": "waits"}',0,0);
CREATE TABLE tokens (
  token TEXT PRIMARY KEY,
  tenant INTEGER NOT NULL REFERENCES tenants ON DELETE CASCADE,
  valid_until INTEGER NOT NULL  -- real time
) WITHOUT ROWID;
INSERT INTO "tokens" VALUES('VpMKzo2xNNSQn8p1hw6DnraVmOiyfoURMIF2JybEcfE',1,1795818489196512);
CREATE INDEX tokens_of_tenant ON tokens (tenant);
CREATE INDEX subscriptions_of_tenant ON subscriptions (tenant);
CREATE INDEX events_of_tenant ON events (tenant);
CREATE INDEX events_of_hook ON events (hook_id);
CREATE INDEX events_due ON events (tenant, due) WHERE due IS NOT NULL;
CREATE INDEX attempts_of_tenant ON attempts (tenant);
CREATE INDEX attempts_of_hook ON attempts (hook_id);
CREATE INDEX attempts_of_event ON attempts (event);
CREATE INDEX requests_of_tenant ON requests (tenant);
DELETE FROM "sqlite_sequence";
INSERT INTO "sqlite_sequence" VALUES('tenants',1);
INSERT INTO "sqlite_sequence" VALUES('requests',2);
INSERT INTO "sqlite_sequence" VALUES('subscriptions',1);
INSERT INTO "sqlite_sequence" VALUES('events',2);
INSERT INTO "sqlite_sequence" VALUES('attempts',2);
COMMIT;
