"""Records in, one Frame a second out: `window` has the stage, each other file one section of a frame."""
