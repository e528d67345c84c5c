"""A statement's text as parts, each value as `?`: what is not certain to be no value, is one.

A word, a number and what stands in single quotes can be told apart at a glance, `"…"` can't: to PostgreSQL
and Oracle it is a name, to MySQL a text, and SQLite takes it for a text wherever there is no column of that
name. There it is a name only in a place where no value can be: beside a dot, after `FROM`, `INTO` or `AS`, in
an insert's list of columns. Some statements take bare words as values (a password after `IDENTIFIED BY`, what
a PRAGMA or a SET is set to, the arguments of EXEC): those go as well, or the shape ends there. Of several
statements in one text each is judged by its own first word. What databases read in different ways (a comment
in a comment, three quotes in a row) ends the shape, too.
"""

from __future__ import annotations

import re
from typing import Literal, TypeAlias

Quotes: TypeAlias = Literal["names", "unsure", "mysql", "brackets"]
"""What `"…"` is to a database: a name; a name or a text, of a database that nobody knows; the same in MySQL,
where `#` begins a comment; the same in SQLite and SQL Server, where `[…]` is a name whatever is in it."""

MAX_NAME_CHARACTERS = 65
"""The longest name that a database takes, and its quotes: what is longer is a value."""

_GAP = r"(?P<gap>(?:\s|--[^\n]*|/\*(?:[^*]|\*(?!/))*(?:\*/|\Z){and_hashes})+)"

_UNSURE_COMMENT = re.compile(r"/\*(?:[^*]|\*(?!/))*/\*|--[^\r\n]*\r(?!\n)")
"""PostgreSQL and SQL Server take comments within comments, others don't; some end a line with `\\r` alone."""

_TOKENS = r"""
    | (?P<text>[nN]?[qQ]'(?:\[.*?(?:\]'|\Z)|\{{.*?(?:\}}'|\Z)|\(.*?(?:\)'|\Z)|<.*?(?:>'|\Z)
            |(?P<delimiter>[^\s\[{{(<]).*?(?:(?P=delimiter)'|\Z))
        |[eEbBxXnN]?'(?:[^'\\]|''|\\[^'])*(?:'|(?P<unsure>\\|\Z))
        |\$(?P<tag>[^\W\d]\w*|)\$(?:.*?\$(?P=tag)\$|(?P<unclosed>.*)))
    | (?P<number>\d[\w.]*[eE][+-]\d+|\d[\w.]*|\.\d[\w.]*[eE][+-]\d+|\.\d[\w.]*)
    | (?P<bind>\?(?:\d+|(?![?|&]))|\$\d+|%\(\w+\)s|%s|(?<!:):[^\W\d]\w*)
    | (?P<quoted>"(?:[^"\\]|""|\\[^"])*(?:"|(?P<unfinished>\\|\Z)))
    | (?P<name>[^\W\d][\w$]*|`[^`]*(?:`|\Z)|{brackets})
    | (?P<sign>::|.)
"""

# No possessive quantifiers: Python before 3.11.5 mismatches them inside of optional groups. None is needed,
# since whatever a token has begun to take, one of its endings matches: nothing is looked at twice.
_PARTS = {
    quotes: re.compile(
        (_GAP + _TOKENS).format(
            and_hashes=r"|\#[^\n]*" if quotes == "mysql" else "",
            brackets=r"\[(?:[^\]]|\]\])*(?:\]|\Z)" if quotes == "brackets" else r"\[[^\W\d][\w\ ]*\]",
        ),
        re.VERBOSE | re.DOTALL,
    )
    for quotes in ("names", "unsure", "mysql", "brackets")
}

_UNKNOWN_TO_US = re.compile(r"#(?=\s|\Z)|[bB]?'''|\"\"\"")
"""What begins a comment, or a text that may have quotes in it, in some databases that nobody knows here."""

_COMPARISONS = frozenset({"=", "<", ">", "!", "~", "LIKE", "ILIKE"})
"""What stands before a value even where `"…"` is a name: who wrote that meant a text."""

_BEFORE_A_SIGN = _COMPARISONS | frozenset(
    {"(", ",", "[", "+", "-", "*", "/", "AND", "OR", "WHEN", "THEN", "ELSE", "BETWEEN", "LIMIT", "OFFSET"}
)
"""After these a minus belongs to the number that follows."""

_QUERIES = frozenset(
    {"SELECT", "INSERT", "UPDATE", "DELETE", "MERGE", "REPLACE", "WITH", "VALUES", "TABLE", "EXPLAIN"}
)
"""Statements in which every bare word is a name or a keyword."""

_TABLES = frozenset({"TABLE", "INDEX", "VIEW", "UNIQUE", "MATERIALIZED", "TEMP", "TEMPORARY", "TYPE"})
"""What one makes in whose definition `password` is a column."""

_SECRETS = re.compile(r"PASSW|PWD|IDENTIFIED|CREDENTIAL|SECRET|TOKEN|ENCRYPT|CONNECTION", re.IGNORECASE)
"""A word after which, in any other statement, nothing is shown."""

_BEFORE_A_NAME = frozenset(
    {"AS", "INTO", "JOIN", "COLUMN", "CONSTRAINT", "REFERENCES", "SAVEPOINT", "TRIGGER", "COLLATE", "SCHEMA"}
    | _TABLES
)

_AFTER_A_COLUMN = re.compile(r"[,)\w]|\Z")
"""What follows a name in a list of them; what is part of an expression may be a text."""

_CALLS = frozenset({"EXEC", "EXECUTE"})
_SAYS_WHO_MAY_CALL = frozenset({"CREATE", "ALTER", "DROP", "GRANT", "REVOKE", "DENY", "COMMENT"})
"""Statements in which EXECUTE is a right, or a part of what is made."""

_BEFORE_A_ROLE = frozenset({"ROLE", "AUTHORIZATION"})
"""Whoever a session acts for is a value, as what else is set is."""

_BEFORE_COLUMNS = frozenset({"CONFLICT", "USING"})
_BEFORE_COLUMNS_DEFINED = frozenset({"KEY", "UNIQUE"})
"""A parenthesis after these holds names alone, as one after the name that follows these does: …"""

_BEFORE_A_TABLE = frozenset({"INTO", "REFERENCES", "VIEW"})

_AFTER_A_SET = frozenset({"WHERE", "FROM", "RETURNING", "ORDER", "LIMIT", "GROUP", "HAVING", "WHEN"})

_DEFINES = frozenset({"TABLE", "EXISTS"})
"""After the name that follows these, each element begins with the name of a column."""

_SAVEPOINT = re.compile(r"(sa_savepoint_)\d+")

_UNLIKE_A_NAME = re.compile(r"[@\\\n]")


class _Places:
    """Where in a statement the next part stands, as far as it tells a name from a value."""

    __slots__ = ("assigned", "before", "depths", "earlier", "in_set", "second", "table", "verb")

    def __init__(self) -> None:
        self.before = self.earlier = ""
        """The last part, in upper case, and the one before it."""
        self.verb = self.second = ""
        """The first words."""
        self.depths: list[str] = []
        """What each parenthesis that is open holds: `query`, `columns`, `definition`, or anything."""
        self.table = ""
        """The keyword that the name which has just been read follows."""
        self.in_set = -1
        """At what depth of parentheses columns are set; -1 where none are."""
        self.assigned = False
        """Whether a `=` or `TO` has come."""

    @property
    def is_query(self) -> bool:
        """Whether bare words are names and keywords."""
        return self.verb in _QUERIES

    def name(self, part: str) -> None:
        """Go past a name or a keyword."""
        word = part.upper()
        if word in _CALLS and self._may_end_before_a_call():
            self.next_statement()
        if not self.verb:
            self.verb = word
        elif not self.second:
            self.second = word
        if self.before == "(" and self.depths and word in {"SELECT", "WITH", "VALUES"}:
            self.depths[-1] = "query"
        if word == "SET":
            self.in_set = len(self.depths)
        elif word in _AFTER_A_SET and len(self.depths) <= self.in_set:
            self.in_set = -1
        if word == "TO":
            self.assigned = True
        if self.before != ".":
            before = self.before
            self.table = before if before in _BEFORE_A_TABLE or before in _DEFINES or before == "ON" else ""
        self.earlier, self.before = self.before, word

    def next_statement(self) -> None:
        """Begin anew: what follows is a statement of its own."""
        self.before = self.earlier = self.verb = self.second = self.table = ""
        self.depths.clear()
        self.in_set = -1
        self.assigned = False

    def _may_end_before_a_call(self) -> bool:
        """Say whether a statement can be over, or lead up to another, without a semicolon."""
        if self.verb == "INSERT":
            return self.before == ")" or self.earlier in {"INTO", "INSERT", "."}
        return self.verb == "EXPLAIN" or not (self.is_query or self.verb in _SAYS_WHO_MAY_CALL)

    def sign(self, part: str) -> None:
        """Go past anything else."""
        if part == ";":
            self.next_statement()
            return
        if part == "(":
            self.depths.append(self._of_parenthesis())
        elif part == ")" and self.depths:
            self.depths.pop()
        elif part == "=":
            self.assigned = True
        if part != ".":
            self.table = ""
        self.earlier, self.before = self.before, part

    def _of_parenthesis(self) -> str:
        if self.verb == "PRAGMA":
            return ""
        if self.before in _BEFORE_COLUMNS or self.table in _BEFORE_A_TABLE:
            return "columns"
        if self.before in _BEFORE_COLUMNS_DEFINED and self.verb in {"CREATE", "ALTER"}:
            return "columns"
        if self.verb == "CREATE" and self.second in {"INDEX", "UNIQUE"} and self.table == "ON":
            return "columns"
        if self.verb == "CREATE" and self.table in _DEFINES and self.second in _TABLES:
            return "definition"
        return ""

    def proves_a_name(self, following: str) -> bool:
        """Say whether no value can stand here, before the character that is `following`."""
        before, verb = self.before, self.verb
        if before == "." or following == ".":
            return True
        if verb in {"PRAGMA", "ATTACH", "SET", "VACUUM"}:
            return before == "AS"
        if before in _BEFORE_A_NAME:
            return True
        depth = self.depths[-1] if self.depths else "query"
        if before == "FROM":
            return depth == "query" and self.earlier != "DISTINCT" and (self.is_query or verb == "CREATE")
        if before == "UPDATE":
            return self.earlier not in {"KEY", "FOR", "ON"}
        if before == "EXISTS":
            return self.earlier in {"IF", "NOT"} and verb in {"CREATE", "DROP", "ALTER"}
        if before in {"(", ","} and depth in {"columns", "definition"}:
            return _AFTER_A_COLUMN.match(following) is not None
        if before == "ON":
            return verb == "CREATE" and following == "("
        sets = before == "SET" or (before == "," and self.in_set == len(self.depths))
        return sets and self.in_set >= 0 and following == "="


def fold_values(text: str, quotes: Quotes = "unsure") -> list[str]:
    """Return the parts of a statement, each value as `?` and each gap as one space.

    Where it can't be told where a value ends, the last part is `…`.
    """
    parts: list[str] = []
    places = _Places()
    signed = False
    for match in _PARTS[quotes].finditer(text):
        kind = match.lastgroup
        part = match[0]
        if kind == "gap":
            parts.append(" ")
            if len(part) > 1 and _UNSURE_COMMENT.search(part):
                parts.append("…")
                break
            continue
        if quotes == "unsure" and _UNKNOWN_TO_US.match(text, match.start()):
            parts.append("…")
            break
        if kind == "name":
            if not places.is_query:
                if places.second not in _TABLES and _SECRETS.search(part):
                    parts += [part, " …"]
                    break
                if _is_bare_value(places):
                    kind = "bind"
        elif kind == "quoted" and _is_value(part, text, match.end(), places, quotes):
            kind = "text"
        if kind == "name":
            signed = False
            parts.append(_SAVEPOINT.sub(r"\1?", part))
            places.name(part)
        elif kind == "quoted":
            signed = False
            parts.append(part)
            places.name(part)
        elif kind == "sign":
            signed = part == "-" and places.before in _BEFORE_A_SIGN
            parts.append(part)
            places.sign(part)
        else:
            if signed and parts[-1] == "-":
                parts.pop()
            signed = False
            parts.append("?")
            places.sign("?")
        if match["unsure"] is not None or match["unclosed"] is not None or match["unfinished"] is not None:
            # `'a\'…`: whether that ends the text depends on the database. What follows may be its value.
            parts.append(" …")
            break
    return parts


def _is_bare_value(places: _Places) -> bool:
    """Tell a word that is no name, in a statement that is no query."""
    before, verb = places.before, places.verb
    if before == "=":
        return True
    if verb == "PRAGMA":
        return before in {"(", "?"}
    if verb == "SET":
        return places.assigned or before in _BEFORE_A_ROLE
    if verb == "ALTER":
        return places.assigned and places.in_set >= 0
    if verb == "ATTACH":
        return before in {"KEY", "DATABASE"}
    if verb in _CALLS:
        return bool(places.second) and before != "."
    return False


def _is_value(part: str, text: str, end: int, places: _Places, quotes: Quotes) -> bool:
    """Tell a double-quoted value from a name."""
    if len(part) > MAX_NAME_CHARACTERS or part[-1] != '"' or len(part) == 1 or "\n" in part:
        return True
    following = text[end : end + 1]
    if following.isspace():
        following = text[end : end + 100].lstrip()[:1]
    if quotes == "names":
        if places.before in _COMPARISONS and following != ".":
            return True
        if places.verb == "SET" and places.before in {"TO", "="}:
            return True
        return _UNLIKE_A_NAME.search(part) is not None and not places.proves_a_name(following)
    return not places.proves_a_name(following)
