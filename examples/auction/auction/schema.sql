-- The whole state of the house. Money is integer cents; moments are milliseconds since the Unix epoch.

CREATE TABLE IF NOT EXISTS users (
    id            INTEGER PRIMARY KEY,
    name          TEXT    NOT NULL UNIQUE COLLATE NOCASE,
    password_hash TEXT    NOT NULL,
    joined_at     INTEGER NOT NULL
) STRICT;

-- One row for each browser that is logged in. The cookie carries the token, this table only its digest.
CREATE TABLE IF NOT EXISTS logins (
    digest     TEXT    PRIMARY KEY,
    user_id    INTEGER NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    expires_at INTEGER NOT NULL
) STRICT;

CREATE TABLE IF NOT EXISTS items (
    id          INTEGER PRIMARY KEY,
    seller_id   INTEGER NOT NULL REFERENCES users (id),
    title       TEXT    NOT NULL,
    description TEXT    NOT NULL,
    category    TEXT    NOT NULL,
    photo       TEXT    NOT NULL,
    kind        TEXT    NOT NULL CHECK (kind IN ('fixed', 'auction')),
    price_cents INTEGER NOT NULL CHECK (price_cents > 0),
    ends_at     INTEGER CHECK ((kind = 'auction') = (ends_at IS NOT NULL)),
    status      TEXT    NOT NULL DEFAULT 'open' CHECK (status IN ('open', 'sold', 'unsold')),
    listed_at   INTEGER NOT NULL
) STRICT;

CREATE INDEX IF NOT EXISTS items_by_status ON items (status, ends_at);

-- The unique pair is the last line of defence: one price on one item belongs to one bidder, whatever the code does.
CREATE TABLE IF NOT EXISTS bids (
    id           INTEGER PRIMARY KEY,
    item_id      INTEGER NOT NULL REFERENCES items (id),
    bidder_id    INTEGER NOT NULL REFERENCES users (id),
    amount_cents INTEGER NOT NULL CHECK (amount_cents > 0),
    placed_at    INTEGER NOT NULL,
    UNIQUE (item_id, amount_cents)
) STRICT;

CREATE TABLE IF NOT EXISTS cart (
    user_id  INTEGER NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    item_id  INTEGER NOT NULL REFERENCES items (id),
    added_at INTEGER NOT NULL,
    PRIMARY KEY (user_id, item_id)
) STRICT;

-- An item is sold at most once, so settling or paying twice cannot add a second row.
CREATE TABLE IF NOT EXISTS purchases (
    item_id     INTEGER PRIMARY KEY REFERENCES items (id),
    buyer_id    INTEGER NOT NULL REFERENCES users (id),
    price_cents INTEGER NOT NULL CHECK (price_cents > 0),
    bought_at   INTEGER NOT NULL
) STRICT;

CREATE INDEX IF NOT EXISTS purchases_by_buyer ON purchases (buyer_id, bought_at);
