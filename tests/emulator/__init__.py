"""A WhatsApp server on loopback, which the unmodified neonize client pairs and talks with.

``python -m tests.emulator`` runs it; ``client.EmulatorProcess`` starts it and speaks its control API.  The README in
this folder shows the layers.
"""
