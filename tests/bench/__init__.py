"""Measures mcastd against other programs."""
