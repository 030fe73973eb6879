"""Outermost: everything is wired here, and nobody imports it.

``tree`` the supervision tree as data · ``parts`` what it is made of, ``gateways`` those that reach the world,
``policies`` what its channels are told, ``custody`` what exchanges, copies and erases data · ``node`` a running node
(lock, signals, ready line), ``node_file`` where it is found · ``ending`` how it comes to its end, ``reload`` settings
read again, ``takers`` who goes by them · ``settings`` and ``sections`` what can be set · ``own`` and ``overrides`` a
channel's own settings · ``master_keys`` where the master key comes from,
and the next one · ``nats_quota`` bounds of a clinic's account · ``runtime`` directories · ``boot`` bounded start ·
``serving`` the admin endpoint · ``health`` how the node is, ``live_tree`` its tree, ``counted`` its ports in the tally
· ``noting`` snapshots passed over, ``offline_audit`` the audit looked at without a node · ``terminal`` codes of new
channels where the node was started · ``log`` JSON logs without personal data, ``telemetry`` spans where they are wanted
· ``cli`` the ``plantao`` command, and ``doctor`` what is wrong.
"""
