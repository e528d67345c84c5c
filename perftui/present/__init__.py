"""The model as text: units, rows and charts. Pure functions."""
