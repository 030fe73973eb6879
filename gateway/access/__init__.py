"""Who may come in over HTTP: API keys, and how often whoever asks may do so.

==============  ========================================================================
module          what it holds
==============  ========================================================================
``secret``      what a key looks like, and how it is recognised
``key``         ``ApiKey``: what is known of a key, which is not the key itself
``key_file``    ``<data>/keys.json``
``admin_key``   ``<data>/admin.key``: the one key that stands in a file in clear
``api_keys``    ``ApiKeys``: all keys of the running node, made, found and revoked
``sessions``    ``Sessions``: who has signed in on the page, each with a key
``hours``       how often keys may ask in an hour, each by itself and all of a clinic together
``windows``     so many requests in so long, for each key or address
==============  ========================================================================

A key is 256 bits from the system's generator. Nothing that slows down guessing (a salt, scrypt) would add to that: it
is stored as its plain SHA-256, and found by it.

A new key is never wider than the one that makes it: not in clinics, not in time, not in requests an hour. What a key
has made outlives its revocation: ``plantao key list`` shows which key made which.

The key in ``admin.key`` is made at the first start, for all clinics and without a bound on requests. Whoever may read
that file is let in, so whoever may replace it is too: remove the file, and the next start makes a new key and revokes
the one before. That is the way back in when the last admin key is lost or revoked.
"""
