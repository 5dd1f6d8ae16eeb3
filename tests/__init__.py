"""What proves the code: tests by what they need, and what they share.

Test modules are named for their subject; maps name the rest, which stands here so that every kind of test can use it.

unit/            without sockets to others: seconds
architecture/    the tree itself: sizes, imports, words
contract/        what every implementation of a store or of a home of objects has to keep
integration/     parts of ours on a real broker, store, FFmpeg or proxy
hls/             video between viewers and the media worker, and the checkers of HLS
e2e/             whole processes, killed and restarted, and pages in Chromium
backends/        the real things the tests run against
recordings/      what encoders said, byte for byte
conftest.py      what every test can ask for, and the header of a run
waits.py         waiting for conditions, and for how long
stopping.py      SIGSTOP that has taken effect
ports.py         ports that nobody takes by chance
disks.py         small file systems, to be filled
factories.py     makers of items and records
streams.py       streams that wait for their video
broker.py        the JetStream parts of one process
archives.py      the archive in a test's own process
hubs.py          a hub with a bare door in front of it
sockets.py       the same with WebSockets
doors.py         the door: reads a request's head and hands its connection on
edges.py         the edge of a gateway before a small application
replaying.py     replays with a clock that is moved by hand
lagging.py       a reader that lagging replicas answer
slowfeed.py      a feed that is late, or loses
turns.py         what is done in one turn of the loop, counted
boundary.py      a stream whose log and store change hands between any two reads
processes.py     processes of ours, and a client of the API
cluster.py       gateways and an archive around one broker
ups.py           `ovation up` as a person runs it
nodefaults.py    a gateway and an archive over three CQL nodes, measured
listener.py      what viewers of both protocols have in common
viewer.py        one by Server-Sent Events
socketviewer.py  one by WebSocket
crowd.py         people who do not give up
privacy.py       people around a stream that is not for everyone
wires.py         HTTP by hand
proxied.py       the PROXY protocol's header
proxies.py       nginx and HAProxy before gateways
faults.py        a TCP proxy that breaks links
lossy.py         one that is a poor line
certificates.py  certificates made on the spot
encoders.py      the media worker with real encoders before it
rtmp.py          an RTMP publisher by hand
rtmp_port.py     the RTMP port before a stage that keeps what comes
dialogues.py     what common encoders say
mp4boxes.py      an independent reader of fragmented MP4
recorded.py      recordings, read by others than those who wrote them
browser.py       Chromium, as all tests of pages start it
glass.py         a source that burns the wall clock into its pictures
alignment.py     how well a chat follows the picture
shows.py         a show with its chat, and the page that plays it back
"""
