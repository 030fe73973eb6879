"""The vault: what of a clinic lies on the disk can be read with its key alone.

::

    master key (file, environment, command)   master
      └─ wraps the clinic's data keys          keys        <data>/clinics/<c>/key
           └─ from which, for each purpose, a key of its own is derived
                └─ which seals snapshots       sealing     <data>/clinics/<c>/channels/<ch>/<version>.vault

==================  ==================================================================
module              what it holds
==================  ==================================================================
``vault``           ``Vaults``, those of all clinics; ``ClinicVault`` implements ``protocol.vault``: who comes when
``restoring``       what ``restore``, ``snapshot`` and ``reseal`` do, step by step; blocking
``snapshots``       the sealed files of one channel: their names, their order
``clean_mark``      what says that a snapshot is clean, and is no copy
``session_store``   whatsmeow's SQLite store: copied, looked into, put back, its ratchets dropped
``sealing``         the format of a sealed file; pure
``stream``          the format of a sealed file of any size (archives, exports); ``stream_key``: how its key is wrapped;
                    ``stream_file``: such a file, read off the loop
``keys``            the file of a clinic's data keys
``clinic_keys``     a clinic's data keys in memory; exchanged and destroyed
``master``          where the master key comes from, and whether it is the right one
``master_rotation`` one master key in the place of another, step by step; blocking
``rotation``        ``KeyRotation``: the same in a running node; implements ``protocol.rotation``
``node_key``        the node's own key
``turns``           one piece of blocking work at a time for each channel
==================  ==================================================================

Decisions:

* A store is copied and sealed in memory. No step writes it in clear to anything but its own memory-backed directory.
* A snapshot is opened again and compared before it gets its name; a file with a name is whole.
* Which snapshot is clean says a mark beside it, sealed and good only where it was made (``clean_mark``): in a data
  directory that was put back from a copy of its files none is.
* Only the newest version can be clean: if it cannot be opened, an older one is stale whatever its name says.
* The working copy is put in place before the mark goes. A kill between the two finds a working copy that no port has
  used; a loss of power finds none, and a snapshot that is still the last.
* zlib at level 3: a real store of 295 kB becomes 62 kB in 1.3 ms (at level 9: 60 kB in 4.1 ms; lzma: 46 kB in 7 to
  51 ms). Measured on 2026-11-28 on one of two shared cores.
  The same store is sealed in 4.4 ms (11 at most) and put back in 3 ms, clean or stale (median of 50 and of 30).
* Keys and snapshots carry the ids of the keys that sealed them, and a clinic's key file may hold several keys: both can
  be exchanged while the old ones are still needed. Which step of that comes next is said by the files alone, so it goes
  on after a kill at any point (``master_rotation``, ``clinic_keys``).
"""

from gateway.vault.master import MasterKey
from gateway.vault.rotation import KeyRotation
from gateway.vault.vault import ClinicVault, PassedOver, Vaults

__all__ = ["ClinicVault", "KeyRotation", "MasterKey", "PassedOver", "Vaults"]
