"""The tables of the views, a file each."""
