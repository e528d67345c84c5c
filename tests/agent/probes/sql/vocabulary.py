"""What these tests say of statements."""

from __future__ import annotations

from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from tests.support.databases import Book, Seen

BOOK_BY_ID = "SELECT books.id, books.title, books.author_id FROM books WHERE books.id = ?"


def plain(statement: str) -> str:
    """Return a shape without the casts that a dialect adds."""
    return statement.replace("?::INTEGER", "?").replace("?::VARCHAR", "?")


def counts(seen: Seen) -> dict[str, int]:
    return {
        plain(shape): count for shape, count in seen.counts().items() if shape.startswith(("S", "I", "U"))
    }


def select_book(session: Session) -> Any:
    return session.execute(select(Book.__table__).where(Book.id == 3)).one()
