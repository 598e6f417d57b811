//! The table of orders. Whatever reads or writes it stands in `place` and `api`.

use storefront_runtime::Migration;

/// Steps that bring an empty database here.
pub const MIGRATIONS: &[Migration] =
    &[Migration { name: "orders", postgres: ORDERS_POSTGRES, sqlite: ORDERS_SQLITE }];

/// The session's uniqueness is the promise of this service; it is never relaxed and rows are never
/// deleted. An order's id follows from the session, so both constraints say the same.
const ORDERS_POSTGRES: &str = "
CREATE TABLE orders (
    order_id TEXT PRIMARY KEY,
    session_id TEXT NOT NULL UNIQUE,
    user_id TEXT NOT NULL,
    cart TEXT NOT NULL,
    amount BIGINT NOT NULL,
    currency TEXT NOT NULL,
    created_at BIGINT NOT NULL
);
";
const ORDERS_SQLITE: &str = "
CREATE TABLE orders (
    order_id TEXT PRIMARY KEY,
    session_id TEXT NOT NULL UNIQUE,
    user_id TEXT NOT NULL,
    cart TEXT NOT NULL,
    amount BIGINT NOT NULL,
    currency TEXT NOT NULL,
    created_at BIGINT NOT NULL
) WITHOUT ROWID;
";
