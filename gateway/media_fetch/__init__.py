"""Media from the web, for ``media.url``: whoever may send a command names the address, so it is an enemy's.

``target`` reads the address, ``addresses`` says which IP addresses may be connected to, ``lookup`` asks the name
service, ``types`` says what an answer may be, ``networks`` reads those of settings, ``fetcher`` does it all.

An address is looked up once for each hop, all that is found must be public, and the connection is made to just that:
between the check and the connection nothing is asked again, so a name that changes its mind (DNS rebinding) gains
nothing. TLS is checked by name, as ever. Public servers are spoken to over TLS alone, at its port; in the networks that
``media.allow_networks`` opens ``http`` and all ports are fine, too.

What it does not know: a NAT64 gateway with a prefix of its operator's own, and routes that lead from public addresses
inwards. Where there are such, a firewall has to say so.
"""
