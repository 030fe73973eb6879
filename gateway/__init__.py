"""The outside world: each package implements interfaces of ``protocol.interfaces`` and knows no actor.

``whatsapp`` neonize in port processes · ``nats`` broker, accounts, streams, registry, rpc · ``store`` the clinics'
SQLite files · ``vault`` their keys, and session stores sealed with them · ``access`` API keys · ``audit`` who did
what · ``jobs`` what takes longer than a request · ``http`` the admin endpoint · ``telemetry`` commands' ways as
spans · ``backup`` archives · ``lgpd`` what is erased and handed over · ``media_fetch`` media from the web.
Foreign types and foreign errors end here, each in one total table. For all of them: ``disk`` writes private files as a
whole or not at all, ``thread`` does what may hang, ``process_memory`` says what processes
take.
"""
