"""The process and what the machine lets it have."""
