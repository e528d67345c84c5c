"""Close records into frames."""
