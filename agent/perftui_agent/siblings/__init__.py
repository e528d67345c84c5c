"""Workers look after each other: one that gives no sign of life is looked at by its neighbour."""
