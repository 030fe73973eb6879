"""``make docs``: documents that are made from the code, written where they belong.

A test (``test_current.py``) fails while one of them is not what the code says; ``make docs`` mends that.
"""
