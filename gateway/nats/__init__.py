"""NATS: the broker, the accounts, and what Plantão does in them.

======================  ==================================================================================
module                  what it holds
======================  ==================================================================================
``accounts``            the accounts, and who may log in to each
``credentials``         where those are kept: sealed, or in a file of an operator's
``permissions``         what each kind of login may do, and what that does not prevent
``server_config``       the server's configuration made from all that, with quotas
``broker``              the embedded nats-server, with ``broker_files``, ``server_process``, ``probe``, ``tls`` and
                        ``emptying`` (an account, before it is removed)
``logins``              logins issued to services, rotated and revoked
``external``            any other server, by URL and a file of credentials
``greeting``            what a server says of itself
``link``                one connection to one account, for ever; the one owner of reconnection
``client``, ``wire``    the client library put right, and the few words of its protocol that we speak ourselves
``streams``             every stream and bucket, created and migrated
``bus``                 a link per clinic, and one to the node's own account
``clinic``              what is done on a clinic's account: publishing, queueing, media, which channels are served
``publisher``           many messages to streams under way at once, in order, each acknowledged
``media``               media in a clinic's Object Store
``headers``             those that go from a command to everything it causes
``lookup``              which of them a stream has already
``scanning``            streams looked through message by message, and single messages erased
``erasing``             what there is of a clinic, erased
``people``              what there is of a person, erased
``exporting``           what there is of a clinic or a person, handed over
``queue``, ``pull``     fetching from durable consumers by importance, without polling
``sending``             a channel's send commands, as such consumers, by priority
``later``               schedules, and what is due
``rate``                how fast commands are taken
``copies``              streams copied as a whole, and put back
``registry``            the key-value bucket of wanted clinics and channels
``rpc``, ``requests``   the micro service ``plantao`` in each clinic's account
``auditing``            what stands in the audit of what is asked of it
``translate``           the client library's errors as Plantão's
======================  ==================================================================================

::

    broker = EmbeddedBroker(data / "nats", key=node_key, runtime=runtime / "nats", port=port)
    # or ExternalBroker(url, accounts_file)
    bus = NatsBus(broker, encoding=encoding_of_clinic)
    bus.serve(operations, audit)                             # before clinics are opened
    registry = NatsRegistry(bus)

Everything here runs on the one asyncio loop. The client library's own reconnection is not used (its buffers survive a
lost connection and are sent afterwards, out of order), nor its fetch, key-value watch and object reader (they can lose
a message to a cancelled call, or wait for ever).
"""
