"""Generic OTP-style supervision on pykka threads. Knows nothing of clinics, WhatsApp or NATS.

What holds, how it differs from OTP and why, what lives in which module, and an example: ``README.md`` beside this file.
"""
