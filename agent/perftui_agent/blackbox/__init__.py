"""The last fifteen minutes of this worker, in a bounded file that survives it."""
