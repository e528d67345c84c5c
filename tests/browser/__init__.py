"""Opens what perftui writes in a real browser; run by hand, see `__main__`."""
