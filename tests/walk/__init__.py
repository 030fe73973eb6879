"""``make walk``: a person at the operator's page, in a real browser, with a real node and the emulated WhatsApp.

==============  ======================================================================
module          what it holds
==============  ======================================================================
``looks``       as what the page is seen: width, language, light or dark
``browser``     Chromium, and windows of it that note everything that is wrong
``stage``       the node and the emulator, keys and phones
``person``      what a person does on the page: everything is found by role and name
``scenes``      the walk: what is done, and what must be seen then
``run``         all walks, one after the other, and the crowd
``crowd``       a hundred clinics, and how fast and how live the page is with them
``crowd_node``  the process in which they are
``report``      what came of it
==============  ======================================================================

``ARGS``: a directory for the screenshots (``walk-screenshots``), of every scene in every look: they are for looking at.
A violation that axe-core finds, an error in the console, something that the content security policy forbids or that is
wider than the window fails a walk as much as a sentence that does not come.
"""
