"""The part of the Signal protocol an emulated phone needs for one-to-one messages.

``wire`` knows the bytes, ``ratchet`` one conversation, ``party`` one phone: its identity, its prekeys and its
conversations.  Nothing here does I/O; a party belongs to one thread.
"""
