"""Requests: their time, their route, where they wait, what is made of their response."""
