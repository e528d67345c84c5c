"""An incident as one page, for who was not there: what was wrong, since when, whom it hurt, and why."""
