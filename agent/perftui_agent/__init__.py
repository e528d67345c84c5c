"""The perftui agent."""
