"""The rows of the snapshot document: the shape of each, and how it is made of what the model says."""
