"""``make demo``: the whole system against the emulated WhatsApp, in front of your eyes."""
