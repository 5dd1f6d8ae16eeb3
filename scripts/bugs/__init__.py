"""The deliberate mistakes that `scripts.plant` plants: what each is, where it goes, and the test that has to catch it.

bug.py      what such a mistake is
fanout.py   in what viewers are sent, and counted as
edge.py     at a gateway's door: connections and requests
broker.py   about the logs: ids, limits, counters and reads
archive.py  in what the archive takes, and when it says so
ingest.py   in taking broadcasts in
media.py    in the packaging of video
hls.py      between viewers and the media worker
privacy.py  about who may watch
store.py    in the stores on a cluster, and in what compares them with a log
"""

from scripts.bugs.archive import ARCHIVE
from scripts.bugs.broker import BROKER
from scripts.bugs.edge import EDGE
from scripts.bugs.fanout import FANOUT
from scripts.bugs.hls import HLS
from scripts.bugs.ingest import INGEST
from scripts.bugs.media import MEDIA
from scripts.bugs.privacy import PRIVACY
from scripts.bugs.store import STORE

#: In the order of docs/testing.md.
BUGS = [*FANOUT, *EDGE, *BROKER, *ARCHIVE, *INGEST, *MEDIA, *HLS, *PRIVACY, *STORE]
