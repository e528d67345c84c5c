"""One widget per file; each can be run by itself to see it."""
