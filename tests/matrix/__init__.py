"""The oldest and the newest that are claimed: what depends on versions runs on each of them."""
