"""What widgets tell the screens."""

from __future__ import annotations

from textual.message import Message


class RowPointed(Message):
    """The cursor of a table was put on a row."""

    def __init__(self, table: str, key: str) -> None:
        super().__init__()
        self.table = table
        self.key = key


class RowOpened(Message):
    """A row is to be opened."""

    def __init__(self, table: str, key: str) -> None:
        super().__init__()
        self.table = table
        self.key = key


class FilterChanged(Message):
    """The text to filter by, as it is being typed."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.text = text
