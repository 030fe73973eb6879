"""``make chaos``: the real tree, its ports and its broker under random kills, against the emulated WhatsApp."""
