"""Damaged recordings, thousands of them, through the real API and real workers."""
