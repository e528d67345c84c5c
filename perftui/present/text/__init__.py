"""How single things are written: cells, units, signs, quantiles, statements."""
