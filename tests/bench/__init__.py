"""``make bench``: what Plantão costs over the raw client, both measured in one run against the emulated WhatsApp."""
