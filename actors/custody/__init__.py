"""Custody of the clinics' data: what takes longer than a request, and touches all that there is of a clinic.

Everything here runs on the loop, as jobs (``protocol.jobs``); it knows gateways by their interfaces alone.

==================  ==================================================================
module              what it holds
==================  ==================================================================
``backing_up``      archives of clinics that run
``restoring``       clinics put back from an archive, also after a kill
``backups``         both, as they are asked for
``keeping``         what of this is done by the clock: backups, and what a kill interrupted
``backing_up``      archives of clinics that run
``restoring``       clinics put back from an archive, also after a kill
``backups``         both, as they are asked for
``keeping``         what of this is done by the clock: backups, and what a kill interrupted
``rotating``        keys exchanged
``resuming``        what of that a kill interrupted
==================  ==================================================================
"""
