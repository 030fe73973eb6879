"""The rights of the people whose data these are (LGPD, Lei 13.709/2018): what is erased, and handed over.

==================  ==================================================================
module              what it holds
==================  ==================================================================
``tombstones``      which clinics are being erased, so that a kill only interrupts it
``holdings``        the places where something of a clinic lies
``sessions``        a clinic's session stores and journals; a person in them, and in their snapshots
``session_store``   what one of them holds of a person
``exports``         what is handed over, as it lies on the disk until it is fetched
``zip_directory``   the directory of a ZIP that is being written, on the disk
==================  ==================================================================

What NATS holds is erased by ``gateway.nats.erasing`` and ``people``, and handed over by ``exporting``. The order in
which all of it goes is decided in ``actors.custody.erasing``.
"""
