"""How records and blobs expire: retention by age and number, and the sweep of orphaned blobs.

Stands above queue and store, which know nothing of it.
"""
