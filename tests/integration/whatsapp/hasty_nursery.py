"""A nursery whose ports take a media transfer for stalled after half a second.

The command line is that of the emulator's nursery.
"""

import sys

from gateway.whatsapp import port
from tests.emulator import nursery

if __name__ == "__main__":
    vars(port)["UPLOAD_LIMIT_S"] = 0.5
    sys.exit(nursery.main(sys.argv[1:]))
