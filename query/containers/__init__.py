"""What happened to something while it lay in containers, and what lies in one. Pure but `reading`.

Nothing of it is kept: it is worked out of trails when it is asked for, so that a scan that comes
late, or is corrected, counts as if it had always been there.
"""

from query.containers.inheriting import Carried, Inherited, Known, Lain, Need, carried
from query.containers.stays import Ending, Stay, ended_with, stays_of

__all__ = [
    "Carried",
    "Ending",
    "Inherited",
    "Known",
    "Lain",
    "Need",
    "Stay",
    "carried",
    "ended_with",
    "stays_of",
]
