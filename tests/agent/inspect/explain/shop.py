"""A shop's tables in both databases, and twenty statements: ten that want an index, ten that come near."""

from __future__ import annotations

from typing import NamedTuple

ORDERS, CUSTOMERS, EVENTS = 60_000, 6_000, 40_000

TABLES = (
    "CREATE TABLE customers (id INTEGER PRIMARY KEY, name TEXT, email VARCHAR(80), city TEXT, vip BOOLEAN)",
    (
        "CREATE TABLE orders (id INTEGER PRIMARY KEY, customer_id INTEGER REFERENCES customers (id),"
        " status TEXT, reference VARCHAR(40), total INTEGER, note TEXT, created_on DATE)"
    ),
    "CREATE TABLE events (id INTEGER PRIMARY KEY, order_id INTEGER, kind TEXT, at INTEGER, actor TEXT)",
    "CREATE TABLE currencies (id INTEGER PRIMARY KEY, code TEXT, name TEXT)",
    "CREATE INDEX ix_customers_email ON customers (email)",
    "CREATE INDEX ix_orders_total ON orders (total)",
)


class Statement(NamedTuple):
    """A statement, and the index that it wants, by table and columns; `()` for none."""

    name: str
    sql: str
    """With `?` for each value."""
    values: tuple[object, ...]
    wants: tuple[str, tuple[str, ...]] | None = None
    kind: str = "scan"
    """What is said of it."""


WANTING = (
    Statement(
        "one equal value",
        "SELECT * FROM orders WHERE reference = ?",
        ("ref-777",),
        ("orders", ("reference",)),
    ),
    Statement(
        "two equal values",
        "SELECT * FROM orders WHERE status = ? AND customer_id = ?",
        ("paid", 77),
        ("orders", ("customer_id", "status")),
    ),
    Statement(
        "an equal value, then a range",
        "SELECT id, total FROM orders WHERE created_on >= ? AND customer_id = ?",
        ("2024-02-01", 77),
        ("orders", ("customer_id", "created_on")),
    ),
    Statement(
        "a range alone",
        "SELECT count(*) FROM events WHERE at BETWEEN ? AND ?",
        (5_000, 5_200),
        ("events", ("at",)),
    ),
    Statement(
        "a list of values",
        "SELECT * FROM events WHERE actor IN (?, ?, ?)",
        ("actor-3", "actor-5", "actor-8"),
        ("events", ("actor",)),
    ),
    Statement(
        "a join by the foreign key's side",
        "SELECT o.id, o.total FROM customers AS c JOIN orders AS o ON o.customer_id = c.id WHERE c.email = ?",
        ("customer-17@example.org",),
        ("orders", ("customer_id",)),
    ),
    Statement(
        "the latest few",
        "SELECT id, total FROM orders ORDER BY created_on DESC LIMIT ?",
        (20,),
        ("orders", ("created_on",)),
    ),
    Statement(
        "the latest few of one",
        "SELECT id, kind FROM events WHERE actor = ? ORDER BY at DESC LIMIT ?",
        ("actor-12", 5),
        ("events", ("actor", "at")),
    ),
    Statement(
        "rows that are changed",
        "UPDATE events SET kind = ? WHERE order_id = ?",
        ("seen", 4_242),
        ("events", ("order_id",)),
    ),
    Statement(
        "a query within",
        "SELECT c.name FROM customers AS c WHERE c.id IN"
        " (SELECT o.customer_id FROM orders AS o WHERE o.reference = ?)",
        ("ref-4711",),
        ("orders", ("reference",)),
    ),
)

NEAR = (
    Statement("the primary key", "SELECT * FROM orders WHERE id = ?", (4711,), kind=""),
    Statement(
        "an index that there is",
        "SELECT * FROM customers WHERE email = ?",
        ("customer-5@example.org",),
        kind="",
    ),
    Statement("a small table", "SELECT * FROM currencies WHERE code = ?", ("EUR",), kind="small-table"),
    Statement("one of three values", "SELECT * FROM orders WHERE status = ?", ("paid",), kind="most-rows"),
    Statement("a range of nearly all", "SELECT * FROM events WHERE at > ?", (1_000,), kind="most-rows"),
    Statement("nothing filtered", "SELECT kind, count(*) FROM events GROUP BY kind", (), kind="full"),
    Statement(
        "a pattern that begins with anything",
        "SELECT * FROM customers WHERE email LIKE ?",
        ("%-17@example.org",),
        kind="unusable-index",
    ),
    Statement(
        "a function around the column",
        "SELECT * FROM customers WHERE lower(email) = ?",
        ("customer-17@example.org",),
        kind="unusable-index",
    ),
    Statement(
        "a few of the many that match",
        "SELECT * FROM orders WHERE status = ? LIMIT ?",
        ("paid", 10),
        kind="stops-early",
    ),
    Statement(
        "a join of everything",
        "SELECT c.city, sum(o.total) FROM orders AS o JOIN customers AS c ON c.id = o.customer_id"
        " GROUP BY c.city",
        (),
        kind="most-rows",
    ),
)


def rows() -> dict[str, list[tuple[object, ...]]]:
    """Return what is in the tables: the same each time, and as far apart as real rows are."""
    statuses = ("paid", "sent", "open")
    return {
        "customers": [
            (n, f"customer {n}", f"customer-{n}@example.org", f"city {n * 7919 % 200}", n % 50 == 0)
            for n in range(1, CUSTOMERS + 1)
        ],
        "orders": [
            (
                n,
                n * 7919 % CUSTOMERS + 1,
                statuses[n * 31 % 97 % 3],
                f"ref-{n * 104_729 % ORDERS}",
                n * 977 % 90_000,
                "left at the door" * 4,
                f"2024-{n * 13 % 12 + 1:02}-{n * 17 % 28 + 1:02}",
            )
            for n in range(1, ORDERS + 1)
        ],
        "events": [
            (
                n,
                n * 6_007 % ORDERS,
                ("made", "paid", "sent", "seen")[n % 4],
                n * 3_571 % 40_009,
                f"actor-{n * 7 % 997}",
            )
            for n in range(1, EVENTS + 1)
        ],
        "currencies": [(n, "EUR" if n == 5 else f"C{n:02}", f"currency {n}") for n in range(1, 151)],
    }
