"""Starts that cost milliseconds; without this room all works the same, only slower."""
