"""Numbers drawn in cells of the terminal."""
