"""From files as institutions ship them to waves and tables; imports ``survey`` only.

One module per kind of file (``spss_stata``, ``tabular``, ``codebook``, ``opinionqa``,
``subpop``); the conventions of institutions are in ``institutions``. The way in is
:func:`read_wave`.
"""

from opinioncast.readers.conventions import PLAIN, Conventions
from opinioncast.readers.institutions import anes, atp, gss
from opinioncast.readers.microdata import column_names, read_wave

__all__ = ["PLAIN", "Conventions", "anes", "atp", "column_names", "gss", "read_wave"]
