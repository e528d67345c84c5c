"""Evidence of what is over before anybody looks: conditions that are watched, and what is done then."""
