"""The command ``plantao``: runs a node, and asks things of the one that runs.

==============  ====================================================================
module          what it holds
==============  ====================================================================
``app``         ``run`` and all others, in groups
``sending``     ``plantao send``
``waiting``     ``plantao send --wait``: follows a message to its result
``messages``    ``plantao message …``
``dead``        ``plantao dead …``
``commands``    how both show messages
``events``      ``plantao events``: follows what changes
``event_stream`` Server-Sent Events, read
``top``         ``plantao top``: looks at the tree, again and again
``top_frame``   what it shows: rows and a summary, pure
``top_view``    how it is drawn, pure
``clinics``     ``plantao clinic …``
``channels``    ``plantao channel …``
``keys``        ``plantao key …``
``nats_keys``   ``plantao key nats …``
``nats_config`` ``plantao nats config``
``backup``      ``plantao backup``, ``restore`` and ``verify``
``rotate``      ``plantao rotate …``
``export``      ``plantao export``
``erase``       ``plantao erase``
``consent``     ``plantao consent …``
``jobs``        ``plantao job …``
``following``   follows a job to its end, and fetches what it made
``audit``       ``plantao audit …``
``doctor``      ``plantao doctor``
``ready``       ``plantao ready``
``reload``      ``plantao reload``
``completion``  ``plantao completion``
``completing``  ids that a shell completes
``pairing``     ``plantao channel pair``: follows a pairing to its end
``qr``          a QR code in half blocks
``own_settings`` ``plantao channel set``: settings as they are typed
``times``       times as they are typed
``asking``      what all commands that ask a node share: options, and how they fail
``client``      the admin endpoint over HTTP, and where it is found
``progress``    how far long work is
``output``      tables for people, JSON for programs, exit codes
==============  ====================================================================

What is slow to import is imported when it is needed: ``plantao --help`` is typed often.
"""

import os


def main() -> None:
    """The console command; ends the process with 0 done, 1 failed, or 2 wrong use or bad configuration."""
    from config.cli.app import app
    from config.cli.completion import PROGRAM, VARIABLE, prepare

    if VARIABLE in os.environ:
        prepare()
    app(prog_name=PROGRAM)
