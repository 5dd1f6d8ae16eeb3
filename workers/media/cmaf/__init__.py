"""FLV tags in, CMAF out (ISO/IEC 23000-19): initialisation segments and parts. Pure: no socket, no file, no clock.

Sound and pictures are muxed into one fragment per part: a player makes one request for both. Times stay the encoder's own,
so all renditions of one run of timestamps lie on one clock.

    boxes.py        ISO 14496-12 boxes
    bits.py         bits and Exp-Golomb numbers, as codecs write their set-up
    avc.py          H.264's set-up: codec string, size
    hevc.py         HEVC's, and which of its pictures a decoder can begin with
    av1.py          AV1's, likewise, and its samples without what belongs to streams
    picture.py      the pictures' set-up, whichever codec it is
    aac.py          AAC's set-up: codec string, rate, the descriptor players want
    setup.py        pictures and sound, and the initialisation segment
    fragment.py     samples to one moof and mdat
    sounds.py       AAC frames on a clock without the rounding of FLV
    edges.py        where parts and segments end
    writer.py       tags to parts
"""
