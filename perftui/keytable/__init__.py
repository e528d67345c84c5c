"""The table of keys, in parts: by where they work."""
