"""What opens from a row: a screen's blocks and lines, a file each."""
