"""One target per file: each probe watches one thing and feeds the window."""
