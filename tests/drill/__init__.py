"""SIGKILL in the midst of whatever is done to a clinic's data: always a working system and no half state."""
