"""Stores: the room log and the records around it."""
