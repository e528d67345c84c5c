"""What the app asks of other services over HTTP: one file per library."""
