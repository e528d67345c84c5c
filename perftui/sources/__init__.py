"""Where frames come from. Every source yields the same events."""
