"""How a database goes about a statement: its plan, what of it is slow, and which index is missing."""
