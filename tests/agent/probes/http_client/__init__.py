"""Outgoing HTTP calls, against a service that is really there."""
